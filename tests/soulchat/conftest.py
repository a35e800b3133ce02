"""What the commands are tried on: a loopback Hub, question files, a local endpoint."""

from tests.hub_cards.conftest import hub, logged_in  # noqa: F401
from tests.soulchatcorpus.making.conftest import endpoint, make_questions  # noqa: F401
