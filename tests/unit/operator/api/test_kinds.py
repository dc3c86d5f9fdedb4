"""The registry of kinds: what lists kinds holds the same ones."""

import subprocess
import sys

from rowlock_operator.api.crds import MODELS, build_crds
from rowlock_operator.api.kinds import KINDS
from rowlock_operator.reconcile.controllers import CONTROLLERS

WITHOUT_LIBRARIES = (
    "import sys, rowlock_operator.api.kinds;"
    " print([name for name in ('pydantic', 'yaml', 'kopf') if name in sys.modules])"
)


def test_every_kind_has_a_model_of_its_name_and_a_definition() -> None:
    assert list(MODELS) == list(KINDS)
    assert [model.__name__ for model in MODELS.values()] == [kind.kind for kind in KINDS]
    assert [crd["metadata"]["name"] for crd in build_crds()] == [kind.definition for kind in KINDS]


def test_names_of_kinds_are_told_apart() -> None:
    names = [name for kind in KINDS for name in (kind.kind, kind.plural, kind.kind.lower(), kind.short)]
    assert len(names) == len(set(names))


def test_a_kind_that_may_be_scaled_shows_where_its_number_stands() -> None:
    for kind in KINDS:
        assert kind.scale is None or kind.scale.keys() == {
            "specReplicasPath",
            "statusReplicasPath",
            "labelSelectorPath",
        }


def test_the_registry_is_read_without_any_library() -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


def test_every_kind_has_a_controller() -> None:
    assert list(CONTROLLERS) == list(KINDS)
