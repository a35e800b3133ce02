"""What follows from the options of simulated talks."""

from pathlib import Path

import pytest

from soulchat_trainer.evaluation.simulate.options import SimulateOptions

HERE = "http://127.0.0.1:1/v1"


def make(**changes: object) -> SimulateOptions:
    return SimulateOptions(**{"counsellor": "openai:one", "client": "script:hm", "output": Path("out"), **changes})


def test_rounds_and_seed_are_the_protocols_where_none_are_given() -> None:
    given, own = make(turns=3, seed=7).load_protocol(), make().load_protocol()
    assert (given.turns, given.seed) == (3, 7)
    assert own.turns > 3
    assert given.model_copy(update={"turns": own.turns, "seed": own.seed}) == own


def test_an_endpoint_is_asked_at_its_own_address_with_its_own_price() -> None:
    options = make(client="openai:two", base_url=HERE, counsellor_base_url=f"{HERE}/c", price=["one=1,2", "two=3,4"])
    counsellor, client = (options.requests(side, options.load_protocol()) for side in ("counsellor", "client"))
    assert counsellor is not None
    assert client is not None
    assert (counsellor.model, counsellor.base_url, counsellor.price) == ("one", f"{HERE}/c", ["one=1,2"])
    assert (client.model, client.base_url, client.price) == ("two", HERE, ["two=3,4"])
    assert [asked.model for asked in options.endpoints(options.load_protocol())] == ["two", "one"]


def test_a_script_is_no_endpoint_and_an_endpoint_needs_an_address() -> None:
    assert make().requests("client", make().load_protocol()) is None
    with pytest.raises(ValueError, match="base_url is missing; allowed: the address of the endpoint of openai:one"):
        make().requests("counsellor", make().load_protocol())


def test_of_the_profiles_only_those_in_danger() -> None:
    every, found = make().read_profiles(), make(only_in_danger=True).read_profiles()
    assert found == [profile for profile in every if profile.risk]
    assert 0 < len(found) < len(every)
