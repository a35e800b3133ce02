"""Convert a corpus of many files on a Slurm cluster: python examples/corpus_slurm.py SOURCE OUTPUT [--tasks 64].

Source and output lie on a disk that all nodes see. The same steps run on one machine with datatrove's
LocalPipelineExecutor, and on Ray with its RayPipelineExecutor.
"""

import argparse
import os

from datatrove.executor import SlurmPipelineExecutor

from soulchatcorpus.tools.distributed import CorpusConverter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="the corpus's folder")
    parser.add_argument("output", help="folder for one Parquet file a task")
    parser.add_argument("--to", choices=("turns", "conversations"), default="turns")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--partition", default="cpu")
    parser.add_argument("--time", default="01:00:00", help="limit of a task, hh:mm:ss")
    arguments = parser.parse_args()
    SlurmPipelineExecutor(
        job_name="soulchatcorpus",
        pipeline=[
            CorpusConverter(
                arguments.source,
                f"{arguments.output}/{arguments.to}",
                arguments.to,
                on_error="skip",
                rejects=f"{arguments.output}/rejected",
            )
        ],
        tasks=arguments.tasks,
        time=arguments.time,
        partition=arguments.partition,
        venv_path=os.path.join(os.environ["VIRTUAL_ENV"], "bin", "activate"),
        logging_dir=f"{arguments.output}/logs",
    ).run()


if __name__ == "__main__":
    main()
