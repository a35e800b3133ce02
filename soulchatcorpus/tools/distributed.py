"""The conversion as a step of a datatrove pipeline, for corpora of many files on one machine, under Slurm or on Ray.

    LocalPipelineExecutor([CorpusConverter("smile/data", "out", to="turns")], tasks=8).run()

A task takes every n-th file of the corpus, so a corpus in one file is one task's work. Ids are made unique within a
task, not across tasks. examples/corpus_slurm.py has the Slurm executor.
"""

from pathlib import Path

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from ..reading.containers import list_files
from ..reading.corpus import OnError
from .convert import convert


class CorpusConverter(PipelineStep):
    """Writes this task's files of a corpus into one Parquet file, `{output}/{task}.parquet`.

    Args:
        source: the corpus's file or folder.
        output: the folder for the files, made where it is missing.
        to, format, on_error: as in `convert`.
        rejects: folder for the rejected records of each task, with on_error="skip"; by default `{output}-rejected`.
    """

    type = "WRITER"
    name = "Counselling corpus"

    def __init__(
        self,
        source: str,
        output: str,
        to: str = "turns",
        format: str | None = None,
        on_error: OnError = "raise",
        rejects: str | None = None,
    ) -> None:
        super().__init__()
        self.source, self.output, self.to, self.format, self.on_error = source, Path(output), to, format, on_error
        self.rejects = Path(rejects or f"{output}-rejected")

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        files = list_files(self.source)[rank::world_size]
        if files:
            self.output.mkdir(parents=True, exist_ok=True)
            written, rejected = self.output / f"{rank:05d}.parquet", self.rejects / f"{rank:05d}.jsonl"
            conversion = convert(files, written, self.to, self.format, self.on_error, rejected, True, overwrite=True)
            report = conversion.report
            for label, count in [*report.regularise.fired.items(), ("rejected", report.rejected)]:
                self.stat_update(label, value=count)
            self.stat_update(self.to, value=conversion.rows)
        yield from data or ()
