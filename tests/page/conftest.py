"""A folder of exports made by hand, and a page that shows them while the tests of a module run."""

import contextlib

import pytest
from made_up_export import TASKS, write_exports
from paged import Tab, page


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """The exports of made_up_export; not to be changed."""
    return write_exports(tmp_path_factory.mktemp("exports"), *TASKS)


@pytest.fixture(scope="session")
def shared_page(exports, tmp_path_factory):
    """A page with the usual limits, for all tests of a worker: its process that answers starts once."""
    with page(exports, tmp_path_factory.mktemp("uploads")) as server:
        yield server


@pytest.fixture
def tab(shared_page):
    """A tab of that page."""
    with contextlib.closing(Tab(shared_page)) as found:
        yield found
