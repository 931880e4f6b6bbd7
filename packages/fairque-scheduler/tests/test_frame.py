"""The frame of the package: it can be imported beside its siblings, and knows its version."""

import re

import fairque.protocol.errors
import fairque.scheduler


def test_the_package_knows_its_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", fairque.scheduler.__version__)


def test_the_packages_share_one_namespace_that_none_of_them_owns() -> None:
    assert getattr(fairque, "__file__", None) is None
    assert issubclass(fairque.protocol.errors.FairqueError, Exception)
