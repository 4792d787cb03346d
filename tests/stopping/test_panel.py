"""Several rules on one run: each decides as it does alone; which rules take part."""

import pytest
import torch

from dip.stopping import EMV, STOPS, Combined, Compare, HeldOut
from dip.stopping.panel import CombinedRule, Panel
from tests.stopping.sequences import FINE, SHAPE, begin, outputs


def test_compare_takes_every_rule_of_the_registry_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STOPS, "mine", HeldOut)
    panel = begin(Compare(patience=7))
    assert isinstance(panel, Panel)
    assert list(panel.rules) == ["wmv", "emv", "heldout", "discrepancy", "covariance", "combined", "mine"]
    assert panel.rules["emv"].patience == 7


def test_each_rule_on_the_panel_keeps_what_it_keeps_alone() -> None:
    target = outputs(60)[-1] + 0.1
    panel = begin(Compare(), target)
    assert isinstance(panel, Panel)
    alone = {name: begin(kind, target) for name, kind in (("emv", EMV()), ("heldout", HeldOut()))}
    for step, image in enumerate(outputs(1400), 1):
        for rule in (panel, *alone.values()):
            rule.update(step, image, image, image, FINE)
        if step % 50 == 0:
            panel.read()
            for name, rule in alone.items():
                ended = panel.ended.get(name)
                assert (ended is not None) == rule.read().stop, (name, step)
    for name, rule in alone.items():
        assert panel.rules[name].step == rule.step
        assert torch.equal(panel.rules[name].image(), rule.image())
    assert set(panel.ended) >= {"emv", "heldout"}
    assert not panel.read().stop, "no rule ends the run"
    assert panel.step == 1400


def test_combined_waits_for_both_and_keeps_the_mean() -> None:
    target = outputs(60)[-1] + 0.1
    rules = begin(HeldOut(patience=30), target), begin(EMV(patience=30), target)
    both = begin(Combined(patience=30), target)
    assert isinstance(both, CombinedRule)
    stopped = []
    for step, image in enumerate(outputs(300), 1):
        for rule in (*rules, both):
            rule.update(step, image, image, torch.full(SHAPE, float(step)), FINE)
        stopped.append((all(rule.read().stop for rule in rules), both.read().stop))
    assert [wanted for wanted, _ in stopped] == [got for _, got in stopped]
    assert stopped[-1] == (True, True)
    assert torch.equal(both.image(), (rules[0].image() + rules[1].image()) / 2)
    assert both.step == max(rule.step for rule in rules)
    assert both.watched is not None
    assert float(both.watched) == pytest.approx(rules[0].read().watched)
