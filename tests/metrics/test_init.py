"""What importing the package costs."""

import json
import subprocess
import sys

PROGRAM = """
import json, resource, sys
import soulchat_metrics
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = [name for name in ("jieba", "pandas", "torch", "transformers", "evaluate", "rjieba") if name in sys.modules]
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "heavy": heavy}))
"""


def test_importing_takes_little_and_loads_no_dictionary():
    """Seconds of the processor, Python's own start within them: another program's work is not counted."""
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", PROGRAM])) for _ in range(3)]
    assert [run["heavy"] for run in runs] == [[]] * 3
    assert min(run["seconds"] for run in runs) <= 0.3
