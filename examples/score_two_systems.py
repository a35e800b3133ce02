"""Is the first system better than the second, or is it chance?

    python examples/score_two_systems.py outputs/benchmark-demo/demo outputs/benchmark-demo/retrieval

Each folder holds the predictions.jsonl of a system, as `soulchat benchmark run` writes it: `id`, `reference` and
`prediction` in each line. The test is the paired bootstrap of Koehn (2004): both systems are scored on the same turns,
drawn again and again.
"""

import argparse
import json
from pathlib import Path

from soulchat_metrics import paired_bootstrap


def read_predictions(folder: Path) -> dict[str, dict]:
    """The rows of a system by id."""
    lines = (folder / "predictions.jsonl").read_bytes().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    options = parser.parse_args()

    first, second = read_predictions(options.first), read_predictions(options.second)
    if first.keys() != second.keys():
        raise SystemExit(f"the systems answered different turns: {len(first.keys() ^ second.keys())} are not shared")
    comparison = paired_bootstrap(
        predictions=[row["prediction"] for row in first.values()],
        other_predictions=[second[key]["prediction"] for key in first],
        references=[row["reference"] for row in first.values()],
    )
    print(f"{'':8} {'first':>8} {'second':>8} {'difference':>11} {'p':>7}   on {len(first)} turns")
    for name, found in comparison.items():
        verdict = "differs" if found["p_value"] < 0.05 else "may be chance"
        print(
            f"{name:8} {found['score']:8.2f} {found['other_score']:8.2f} "
            f"{found['difference']:+11.2f} {found['p_value']:7.3f}   {verdict}"
        )


if __name__ == "__main__":
    main()
