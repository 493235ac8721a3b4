"""The part of YAML that is read, and what of the rest is refused with which sentence."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

NOT_YAML = [
    ("", "1: the file is empty; begin with 'name:', 'hosts:' and 'nodes:'"),
    ("# only a comment\n", "1: the file is empty; begin with 'name:', 'hosts:' and 'nodes:'"),
    ("null\n", "1: the file is empty; begin with 'name:', 'hosts:' and 'nodes:'"),
    ("- a\n- b\n", "1: the file is not a mapping; begin with 'name: my-cluster'"),
    ("hello\n", "1: the file is not a mapping; begin with 'name: my-cluster'"),
    (
        "name: [demo\n",
        "2: this is not YAML that can be read: expected ',' or ']', but got '<stream end>'; "
        "check the indentation, the colons and the quotes of this line and the one above",
    ),
    (
        "name: demo\n\thosts: rig\n",
        "2: this is not YAML that can be read: found character '\\t' that cannot start any token; indent with spaces",
    ),
    (
        "name: demo\n---\nname: other\n",
        "2: this is not YAML that can be read: but found another document; write one cluster in one file",
    ),
    (
        "name: \x07\n",
        "1: this is not YAML that can be read: unacceptable character #x0007: special characters are not "
        "allowed; write it as plain text",
    ),
    (
        "name: &a demo\nhosts: *a\n",
        "1: this is not YAML that can be read: anchors and aliases (& and *) are not "
        "read here; write the value out where it is needed",
    ),
    (
        "name: *a\n",
        "1: this is not YAML that can be read: anchors and aliases (& and *) are not read here; "
        "write the value out where it is needed",
    ),
    (
        "name: !!python/object:os.system x\n",
        "1: the tag 'tag:yaml.org,2002:python/object:os.system' is not read here; write the value alone",
    ),
    ("name: !secret x\n", "1: the tag '!secret' is not read here; write the value alone"),
    ("nodes: !!set {a, b}\n", "1: the tag 'tag:yaml.org,2002:set' is not read here; write the value alone"),
    ("? [a]\n: 1\n", "1: a key is not a word; write 'key: value'"),
    (
        f"name: {'[' * 500}\n",
        "1: this is not YAML that can be read: values are nested too deeply; "
        "a cluster file has tiers, sites, nodes and links, one level each",
    ),
]


@pytest.mark.parametrize(("text", "said"), NOT_YAML)
def test_what_is_not_a_mapping_in_plain_yaml_is_refused(refusal: Callable[[str], str], text: str, said: str) -> None:
    assert refusal(text) == f"c.yaml:{said}"


def test_an_alias_bomb_costs_nothing(refusal: Callable[[str], str]) -> None:
    rows = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    started = time.process_time()
    assert "anchors and aliases" in refusal("a0: &a0 [x]\n" + rows)
    assert time.process_time() - started < 1
