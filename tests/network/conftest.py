"""The fixtures of `tests/http`: an entrance in this process, over ASGI."""

from tests.http.conftest import good as good
from tests.http.conftest import world as world
