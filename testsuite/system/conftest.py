# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import cluster as cluster_module  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitized: also run against daemons built with sanitizers")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of four CPUs, shared by a module's tests."""
    with cluster_module.Cluster() as c:
        yield c


@pytest.fixture(scope="session")
def users():
    """Two ordinary users' names (the suite runs as root)."""
    if os.geteuid() != 0:
        pytest.skip("needs root to act as other users")
    return [cluster_module.user_ensure(n).pw_name for n in ("slalice", "slbob")]
