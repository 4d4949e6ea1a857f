"""Recipes are data: any field may be set, and a mistake is told with what there is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_export.errors import UserError
from lenet_train import architectures, cli
from lenet_train.recipes import (
    BEST,
    FIELD,
    RECIPES,
    TEXTBOOK,
    Augmentation,
    Dirt,
    Distillation,
    FewBits,
)

GROUPS = {
    "augmentation": Augmentation,
    "augmentation.dirt": Dirt,
    "distillation": Distillation,
    "few_bits": FewBits,
}

MISTAKES = {
    "lr": "is not FIELD=VALUE",
    "": "is not FIELD=VALUE",
    "rate=1": "there is no such field",
    "name=mine": "there is no such field",
    "=1": "there is no such field",
    "lr.x=1": "there is no such field",
    "augmentation.angle=1": "there is no such field",
    "augmentation.shift.x=1": "there is no such field",
    "lr=fast": "expected a number from 0 to 100",
    "lr=nan": "expected a number from 0 to 100",
    "lr=-1": "expected a number from 0 to 100",
    "epochs=0": "expected a whole number from 1 to 100,000",
    "epochs=1.5": "expected a whole number from 1 to 100,000",
    "optimizer=adam": "expected sgd or adamw",
    "augmentation=1": "expected none, or set its fields",
    "augmentation.shift=29": "expected a number from 0 to 28",
}


@pytest.mark.parametrize("setting", MISTAKES)
def test_a_mistake_is_told_with_the_fields_and_their_types(setting):
    with pytest.raises(UserError) as caught:
        BEST.changed([setting])
    assert caught.value.where == f"--set {setting}"
    assert caught.value.what == MISTAKES[setting]
    if caught.value.what.startswith("expected"):
        assert caught.value.remedy == "give such a value; --set help lists all fields"
        return
    lines = caught.value.remedy.splitlines()
    fields = {f.name for f in dataclasses.fields(BEST)} - {"name"}
    for group, kind in GROUPS.items():
        fields |= {f"{group}.{f.name}" for f in dataclasses.fields(kind)}
    assert {line.split(":")[0].strip() for line in lines[1:]} == fields
    assert "    lr: a number from 0 to 100" in lines
    assert "    epochs: a whole number from 1 to 100,000" in lines


def test_a_mistake_exits_with_1_before_any_work(tmp_path, capsys):
    assert cli.main(["--set", "lr=fast", "--out", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err.startswith("lenet-train: error: --set lr=fast: expected")
    assert not (tmp_path / "run").exists()


@given(lr=st.floats(0, 100), epochs=st.integers(1, 100_000), shift=st.floats(0, 28))
def test_what_is_set_is_what_is_trained_with_and_nothing_else(lr, epochs, shift):
    found = BEST.changed([f"lr={lr}", f"epochs={epochs}", f"augmentation.shift={shift}"])
    expected = dataclasses.replace(
        BEST,
        lr=lr,
        epochs=epochs,
        augmentation=dataclasses.replace(BEST.augmentation, shift=shift),
    )
    assert found == expected


def test_few_bits_see_smaller_changes_of_the_images():
    shares = {"few_bits.augmentation=0.5": 0.5, "few_bits.epochs=3": 0.6}
    for setting, share in shares.items():
        few = BEST.changed([setting]).for_few_bits().augmentation
        *changes, dirt = dataclasses.astuple(BEST.augmentation)
        assert dirt is None
        np.testing.assert_allclose(dataclasses.astuple(few)[:-1], share * np.array(changes))
    assert TEXTBOOK.for_few_bits().augmentation is None


def test_augmentation_can_be_taken_away_and_begun():
    assert BEST.changed(["augmentation=none"]).augmentation is None
    begun = TEXTBOOK.changed(["augmentation.rotation=15"]).augmentation
    assert begun == Augmentation(rotation=15)


def test_the_last_of_two_settings_holds():
    assert BEST.changed(["lr=1", "lr=2"]).lr == 2


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_title_tells_what_was_set(recipe):
    assert recipe.title == recipe.name
    assert recipe.changed(["lr=5", "epochs=7"]).title == f"{recipe.name} epochs=7 lr=5"
    assert recipe.changed(["lr=5", f"lr={recipe.lr}"]).title == recipe.name


def test_a_group_that_is_begun_is_told_where_it_is_changed():
    changed = TEXTBOOK.changed(["augmentation.dirt.share=0.5", "augmentation.dirt.noise=1"])
    assert changed.title == "textbook augmentation.dirt.share=0.5 augmentation.dirt.noise=1"
    assert len(BEST.changed(["augmentation.dirt.share=0.5"]).title) < 100
    assert TEXTBOOK.changed(["augmentation.rotation=5"]).title == "textbook augmentation.rotation=5"
    assert FIELD.changed(["augmentation.dirt.share=0"]).title == "field augmentation.dirt.share=0"


def test_other_settings_have_another_run_folder():
    def folder(*arguments):
        args = cli._parse(arguments)
        recipe = RECIPES[args.recipe].changed(args.set)
        return str(cli._folder(args, architectures.lenet(), recipe))

    assert folder() == "runs/digits-lenet-best"
    changed = folder("--set", "augmentation.shift=1", "--epochs", "3", "--seed", "4")
    assert changed == "runs/digits-lenet-best-epochs=3-augmentation.shift=1-seed4"
