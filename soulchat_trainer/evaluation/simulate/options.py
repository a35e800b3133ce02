"""The options of simulated talks, and what follows from them: the protocol, the profiles, how endpoints are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from soulchatcorpus.making.options import RequestOptions

from ..judge import JudgeOptions
from ..systems import ENDPOINT
from .profiles import Profile, read_profiles
from .protocol import Protocol, Side, load_protocol

# The client's message and the counsellor's reply -> what a product shows before the reply; empty for nothing.
Care = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """Who talks with whom about what, and how."""

    counsellor: str
    client: str
    output: Path
    profiles: str = "soulchat"
    protocol: str = "plain"
    turns: int | None = None
    repeats: int = 1
    seed: int | None = None
    system: str | None = None
    talks_at_once: int = 16
    device: str = "auto"
    dtype: str = "auto"
    base_url: str | None = None
    counsellor_base_url: str | None = None
    price: Sequence[str] = ()
    requests_per_minute: int = 0
    timeout: float = 120.0
    max_cost: float | None = None
    care: Care | None = None
    only_in_danger: bool = False
    retry: bool = False
    send_unmasked: bool = False
    yes: bool = False

    def load_protocol(self) -> Protocol:
        """The protocol with the rounds and the seed of these options."""
        changes = {"turns": self.turns, "seed": self.seed}
        loaded = load_protocol(self.protocol)
        return Protocol(**loaded.model_dump() | {name: value for name, value in changes.items() if value is not None})

    def read_profiles(self) -> list[Profile]:
        """The clients; raises ValueError where those in danger are wanted, and there are none."""
        profiles = read_profiles(self.profiles)
        if not self.only_in_danger:
            return profiles
        found = [profile for profile in profiles if profile.risk]
        if not found:
            raise ValueError(f"profiles is {self.profiles}; allowed: a file with `risk` at some of its profiles")
        return found

    def requests(self, side: Side, protocol: Protocol) -> RequestOptions | None:
        """How the endpoint of a side is asked; None where it is none."""
        spec = self.client if side == "client" else self.counsellor
        base_url = (self.counsellor_base_url if side == "counsellor" else None) or self.base_url
        return self._requests(spec, base_url, protocol)

    def _requests(self, spec: str, base_url: str | None, protocol: Protocol) -> RequestOptions | None:
        if not spec.startswith(ENDPOINT):
            return None
        if base_url is None:
            raise ValueError(f"base_url is missing; allowed: the address of the endpoint of {spec}")
        name = spec.removeprefix(ENDPOINT)
        return RequestOptions(
            base_url=base_url,
            model=name,
            price=[price for price in self.price if price.rpartition("=")[0] == name],
            concurrency=self.talks_at_once,
            requests_per_minute=self.requests_per_minute,
            timeout=self.timeout,
            max_tokens=protocol.max_new_tokens,
            max_cost=self.max_cost,
            thinking="off",
            send_unmasked=self.send_unmasked,
            yes=self.yes,
        )

    def judge(self, spec: str, rubric: str) -> JudgeOptions:
        """How a judge of the talks is asked: a model of transformers here, or one behind the client's endpoint."""
        shared: dict[str, Any] = {
            "rubric": rubric,
            "concurrency": self.talks_at_once,
            "retry": "rejected" if self.retry else None,
        }
        asked = self._requests(spec, self.base_url, self.load_protocol())
        if asked is None:
            return JudgeOptions(model=spec, device=self.device, **shared)
        return JudgeOptions(**asked.model_dump(exclude={"max_tokens", "concurrency"}), **shared)

    def endpoints(self, protocol: Protocol) -> list[RequestOptions]:
        """How the endpoints among both are asked."""
        return [asked for side in get_args(Side) if (asked := self.requests(side, protocol))]
