import typer
from typer.testing import CliRunner

from soulchat.verbs import with_verbs_of


def test_verbs_of_a_slow_module_are_found_when_they_are_asked_for() -> None:
    app = typer.Typer(cls=with_verbs_of("soulchat.making"))

    @app.callback()
    def group() -> None:
        pass

    @app.command()
    def quick() -> None:
        print("done")

    runner = CliRunner()
    assert runner.invoke(app, ["quick"]).stdout == "done\n"
    assert "rewrite" in runner.invoke(app, ["--help"]).stdout
    assert "--model" in runner.invoke(app, ["rewrite", "--help"]).stdout
