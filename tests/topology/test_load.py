"""Loading: what a cluster file says, and each way to get it wrong with its one sentence."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import ClusterFileError
from tierflow.topology import load, parse

CLUSTERS = Path(__file__).parents[2] / "clusters"


def sentence(text: str) -> str:
    with pytest.raises(ClusterFileError) as caught:
        parse(text, "c.yaml")
    return str(caught.value)


def test_a_file_is_read_with_its_units_and_its_defaults(valid: str) -> None:
    spec = parse(valid)
    assert [node.name for node in spec.nodes] == ["cloud-1", "gw-1", "cam-1"]
    assert (spec.links[0].rate, spec.links[0].delay, spec.links[0].loss) == (2.5e6, 0.025, 0.0)
    assert (spec.nodes[0].cpus, spec.nodes[0].speed, spec.nodes[0].price) == (1, 1.0, 0.0)
    assert spec.head.name == "cloud-1"


@pytest.mark.parametrize(
    ("file", "nodes", "hosts"),
    [("demo", 5, "rig"), ("campus", 9, "rig"), ("one-machine", 5, "local"), ("onprem", 7, "machines")],
)
def test_the_files_we_ship_are_right(file: str, nodes: int, hosts: str) -> None:
    spec = load(CLUSTERS / f"{file}.yaml")
    assert (spec.name, len(spec.nodes), spec.hosts) == (file, nodes, hosts)
    assert sum(node.cpu_quota or 0 for node in spec.nodes) <= 2


# Each row: what is replaced in the valid file, by what, and the sentence without the file's name.
WRONG_KEYS = [
    (
        "    tier: device",
        "    teir: device",
        "8: node 'cam-1' has an unknown key, 'teir'; did you mean 'tier'?",
    ),
    (
        "hosts: rig",
        "hosts: rig\ncolour: blue",
        "3: the file has an unknown key, 'colour'; use one of: name, tiers, hosts, sites, nodes, links",
    ),
    (
        "    delay: 25 ms",
        "    delay: 25 ms\n    latency: 3 ms",
        "15: the link from 'plant-1' to 'region-1' has an unknown key, 'latency'; "
        "use one of: from, to, rate, delay, jitter, loss, price, radio, both, reverse",
    ),
    (
        "    delay: 25 ms",
        "    delay: 25 ms\n    reverse: {rates: 1 Mbit/s}",
        "15: 'reverse' of the link from 'plant-1' to 'region-1' has an unknown key, 'rates'; did you mean 'rate'?",
    ),
    ("name: demo\n", "", "1: the file has no 'name'; add 'name:'"),
    ("hosts: rig\n", "", "1: the file has no 'hosts'; add 'hosts:'"),
    ("    tier: device\n", "", "7: node 'cam-1' has no 'tier'; add 'tier:'"),
    ("  - name: cam-1\n    tier", "  - tier", "7: node 3 has no 'name'; add 'name:'"),
    ("    rate: 20 Mbit/s\n", "", "11: the link from 'plant-1' to 'region-1' has no 'rate'; add 'rate:'"),
    ("  - from: plant-1\n    to", "  - to", "11: link 1 has no 'from'; add 'from:'"),
    (
        "    tier: device",
        "    tier: device\n    power: {idle: 1 W}",
        "9: 'power' of node 'cam-1' has no 'busy'; add 'busy:'",
    ),
    (
        "    tier: device",
        "    tier: device\n    tier: edge",
        "9: the key 'tier' is written twice, here and in line 8; remove one",
    ),
]

WRONG_VALUES = [
    (
        "20 Mbit/s",
        "20 ms",
        "13: 'rate' of the link from 'plant-1' to 'region-1': '20 ms' is not a rate; write it like '20 Mbit/s'",
    ),
    (
        "25 ms",
        "25",
        "14: 'delay' of the link from 'plant-1' to 'region-1': '25' is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    (
        "25 ms",
        "-25 ms",
        "14: 'delay' of the link from 'plant-1' to 'region-1': '-25 ms' is not a duration of zero or "
        "more; write it like '25 ms'",
    ),
    (
        "25 ms",
        "-25",
        "14: 'delay' of the link from 'plant-1' to 'region-1': '-25' is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    (
        "25 ms",
        ".nan",
        "14: 'delay' of the link from 'plant-1' to 'region-1': 'nan' is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    (
        "25 ms",
        "true",
        "14: 'delay' of the link from 'plant-1' to 'region-1': 'True' is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    ("20 Mbit/s", "0", "13: 'rate' of the link from 'plant-1' to 'region-1' is 0; make it more than 0"),
    (
        "20 Mbit/s",
        "1e300 Mbit/s",
        "13: 'rate' of the link from 'plant-1' to 'region-1': '1e300 Mbit/s' is not a rate "
        "that can be real, it is too large; write it like '20 Mbit/s'",
    ),
    (
        "25 ms",
        "25 ms\n    loss: 150 %",
        "15: 'loss' of the link from 'plant-1' to 'region-1': '150 %' is not a share "
        "that can be real, it is too large; write it like '0.5 %'",
    ),
    (
        "25 ms",
        "25 ms\n    loss: -1 %",
        "15: 'loss' of the link from 'plant-1' to 'region-1': '-1 %' is not a share "
        "of zero or more; write it like '0.5 %'",
    ),
    (
        "25 ms",
        "25 ms\n    loss: 100 %",
        "15: 'loss' of the link from 'plant-1' to 'region-1' is '100 %'; make it less than 100 %",
    ),
    (
        "25 ms",
        "25 ms\n    radio: wfi",
        "15: 'radio' of the link from 'plant-1' to 'region-1' is 'wfi'; did you mean 'wifi'?",
    ),
    (
        "25 ms",
        "25 ms\n    both: 1",
        "15: 'both' of the link from 'plant-1' to 'region-1' must be true or false, but it is 1; write true or false",
    ),
    ("hosts: rig", "hosts: rigg", "2: 'hosts' of the file is 'rigg'; did you mean 'rig'?"),
    ("hosts: rig", "hosts: docker", "2: 'hosts' of the file is 'docker'; use one of: rig, local, machines"),
    ("name: demo", "name: 5", "1: 'name' of the file must be text, but it is 5; put it in quotes"),
    ("name: demo", "name:", "1: 'name' of the file must be text, but it is empty; put it in quotes"),
    ("name: demo", "name: [a]", "1: 'name' of the file must be text, but it is a list; write text"),
    (
        "name: cam-1",
        "name: Cam_1",
        "7: 'name' of node 'Cam_1' is 'Cam_1'; a name has 1 to 24 of a-z, 0-9 and '-', "
        "and begins and ends with a letter or digit; write it like 'cam-1'",
    ),
    (
        "name: cam-1",
        "name: '***'",
        "7: 'name' of node '***' is '***'; a name has 1 to 24 of a-z, 0-9 and '-', "
        "and begins and ends with a letter or digit",
    ),
    (
        "name: cam-1",
        "name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "7: 'name' of node 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is "
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'; a name has 1 to 24 of a-z, 0-9 and '-', and begins and ends with a letter or "
        "digit; write it like 'aaaaaaaaaaaaaaaaaaaaaaaa'",
    ),
    (
        "    tier: device",
        "    tier: device\n    cpus: two",
        "9: 'cpus' of node 'cam-1' must be a whole number, but it is 'two'; write a whole number",
    ),
    (
        "    tier: device",
        "    tier: device\n    cpus: 1.5",
        "9: 'cpus' of node 'cam-1' must be a whole number, but it is 1.5; write a whole number",
    ),
    (
        "    tier: device",
        "    tier: device\n    cpus: true",
        "9: 'cpus' of node 'cam-1' must be a whole number, but it is true; write a whole number",
    ),
    ("    tier: device", "    tier: device\n    cpus: -1", "9: 'cpus' of node 'cam-1' is -1; make it at least 0"),
    (
        "    tier: device",
        "    tier: device\n    cpus: 9000000",
        "9: 'cpus' of node 'cam-1' is 9000000; make it at most 100000",
    ),
    (
        "    tier: device",
        f"    tier: device\n    cpus: 1{'0' * 5000}",
        f"9: '1{'0' * 39}' cannot be read as the number it looks like; write a plain number, or text in quotes",
    ),
    (
        "    tier: device",
        f"    tier: device\n    cpus: 1{'0' * 400}",
        f"9: 'cpus' of node 'cam-1' is 1{'0' * 39}; make it at most 100000",
    ),
    (
        "    tier: device",
        "    tier: device\n    speed: .inf",
        "9: 'speed' of node 'cam-1' is inf; write a number that is finite",
    ),
    (
        "    tier: device",
        "    tier: device\n    speed: yes",
        "9: 'speed' of node 'cam-1' must be a number, but it is true; write a number",
    ),
    (
        "    tier: device",
        "    tier: device\n    memory: 0.1 B",
        "9: 'memory' of node 'cam-1' is '0.1 B'; make it more than 0",
    ),
    (
        "    tier: device",
        "    tier: device\n    power: 5 W",
        "9: 'power' of node 'cam-1' must be a mapping of keys, but it is '5 W'; write a mapping of keys",
    ),
    (
        "    tier: device",
        "    tier: device\n    power: {idle: 1 W, busy: 2 J}",
        "9: 'busy' of 'power' of node 'cam-1': '2 J' is not a power; write it like '5 W'",
    ),
    (
        "    tier: device",
        "    tier: device\n    address: 'http://x/'",
        "9: 'address' of node 'cam-1' is 'http://x/'; write a host name or an IP address, without a port",
    ),
    (
        "tiers: [device, edge, cloud]",
        "tiers: cloud",
        "3: 'tiers' of the file must be a list, but it is 'cloud'; write a list",
    ),
    ("tiers: [device, edge, cloud]", "tiers: []", "3: 'tiers' of the file is an empty list; write at least one"),
    (
        "tiers: [device, edge, cloud]",
        "tiers: [device, 2, cloud]",
        "3: item 2 of 'tiers' must be text, but it is 2; put it in quotes",
    ),
    (
        "  - {name: gw-1, tier: edge, site: plant-1}",
        "  - gw-1",
        "6: item 2 of 'nodes' must be a mapping of keys, but it is 'gw-1'; write a mapping of keys",
    ),
]

BROKEN_RULES = [
    ("name: cam-1", "name: gw-1", "7: two nodes are called 'gw-1'; give each a name of its own"),
    (
        "[device, edge, cloud]",
        "[device, edge, edge, cloud]",
        "3: two tiers are called 'edge'; give each a name of its own",
    ),
    (
        "hosts: rig",
        "hosts: rig\nsites: [plant-1, plant-1, region-1]",
        "3: two sites are called 'plant-1'; give each a name of its own",
    ),
    (
        "name: cam-1",
        "name: plant-1",
        "7: 'plant-1' is the name of a node and of a site; rename one: a link could mean either",
    ),
    (
        "tier: device",
        "tier: devise",
        "8: node 'cam-1' is in tier 'devise', which is not one of this file's tiers; did you mean 'device'?",
    ),
    (
        "tier: device",
        "tier: fog",
        "8: node 'cam-1' is in tier 'fog', which is not one of this file's tiers; use one of: device, edge, cloud",
    ),
    (
        "hosts: rig",
        "hosts: rig\nsites: [plant-2, region-1]",
        "7: node 'gw-1' stands in site 'plant-1', "
        "which 'sites' does not list; add it to 'sites', or did you mean 'plant-2'?",
    ),
    (
        "    site: plant-1",
        "    site: region-1",
        "9: site 'region-1' is in two tiers' roles: it holds 'cloud-1' of the "
        "last tier, 'cloud', and 'cam-1' of tier 'device'; put 'cam-1' in a site of its own: what may not leave a site "
        "must not share it with 'cloud'",
    ),
    (
        "tier: cloud",
        "tier: edge",
        "4: no node is in the last tier, 'cloud', where the head of the cluster runs; add a node with 'tier: cloud'",
    ),
    (
        "tier: device",
        "tier: device\n    head: true",
        "9: node 'cam-1' is marked as the head but is in tier 'device'; mark a node of the last tier, 'cloud'",
    ),
    (
        "  - {name: cloud-1, tier: cloud, site: region-1}",
        "  - {name: cloud-1, tier: cloud, site: region-1, head: true}\n"
        "  - {name: cloud-2, tier: cloud, site: region-1, head: true}",
        "6: nodes 'cloud-1' and 'cloud-2' are both marked as the head; mark one: a cluster has one head",
    ),
    (
        "tier: device",
        "tier: device\n    power: {idle: 4 W, busy: 1 W}",
        "9: node 'cam-1' draws less power when busy than when idle; make 'busy' at least 'idle'",
    ),
    (
        "tier: device",
        "tier: device\n    address: 192.0.2.1",
        "9: node 'cam-1' has an address, but 'hosts: rig' makes "
        "its own; remove 'address', or write 'hosts: machines' for real machines",
    ),
    (
        "hosts: rig",
        "hosts: machines",
        "5: the head, 'cloud-1', has no address; add 'address' to it: the other machines join it there",
    ),
    (
        "to: region-1",
        "to: region-2",
        "12: a link leads to 'region-2', which is neither a node nor a site; did you mean 'region-1'?",
    ),
    (
        "from: plant-1",
        "from: moon",
        "11: a link leads from 'moon', which is neither a node nor a site; "
        "use one of: cloud-1, gw-1, cam-1, region-1, plant-1",
    ),
    ("to: region-1", "to: plant-1", "12: a link leads from 'plant-1' to itself; name its other end"),
    (
        "    delay: 25 ms\n",
        "    delay: 25 ms\n  - {from: plant-1, to: region-1, rate: 1 kbit/s, delay: 0}\n",
        "15: two links lead from 'plant-1' to 'region-1'; remove one",
    ),
    (
        "    delay: 25 ms\n",
        "    delay: 25 ms\n  - {from: region-1, to: plant-1, rate: 1 kbit/s, delay: 0}\n",
        "15: two links lead from 'region-1' to 'plant-1'; a link holds for both directions: say 'reverse:' for other "
        "values on the way back, or 'both: false' on each",
    ),
    (
        "25 ms",
        "25 ms\n    both: false\n    reverse: {delay: 3 ms}",
        "16: the link from 'plant-1' to 'region-1' says 'both: false' and has a 'reverse'; remove one of the two",
    ),
    (
        "25 ms",
        "25 ms\n    jitter: 30 ms",
        "15: the link from 'plant-1' to 'region-1' has more jitter than delay; make 'jitter' at most 'delay'",
    ),
    (
        "25 ms",
        "25 ms\n    reverse: {jitter: 30 ms}",
        "15: the link from 'region-1' back to 'plant-1' has more jitter than delay; make 'jitter' at most 'delay'",
    ),
    (
        "25 ms",
        "25 ms\n    both: false",
        "6: no path of links leads from 'cloud-1' to 'gw-1'; add a link from 'region-1' to 'plant-1'",
    ),
    (
        "links:\n  - from: plant-1\n    to: region-1\n    rate: 20 Mbit/s\n    delay: 25 ms\n",
        "",
        "6: no path of links leads from 'cloud-1' to 'gw-1'; add a link from 'region-1' to 'plant-1'",
    ),
    (
        "    delay: 25 ms\n",
        "    delay: 25 ms\n  - {from: cam-1, to: plant-1, rate: 1 kbit/s, delay: 0, both: false}\n",
        "7: no path of links leads from 'cloud-1' to 'cam-1'; let the link between 'cam-1' and 'plant-1' lead both ways",
    ),
]

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


@pytest.mark.parametrize(("old", "new", "said"), [*WRONG_KEYS, *WRONG_VALUES, *BROKEN_RULES])
def test_one_fault_is_one_sentence_with_file_line_and_mend(valid: str, old: str, new: str, said: str) -> None:
    assert old in valid
    assert sentence(valid.replace(old, new, 1)) == f"c.yaml:{said}"


@pytest.mark.parametrize(("text", "said"), NOT_YAML)
def test_what_is_not_a_mapping_in_plain_yaml_is_refused(text: str, said: str) -> None:
    assert sentence(text) == f"c.yaml:{said}"


def test_two_machines_have_two_addresses(valid: str) -> None:
    text = valid.replace("hosts: rig", "hosts: machines").replace("region-1}", "region-1, address: 192.0.2.1}", 1)
    assert parse(text).head.address == "192.0.2.1"
    said = sentence(text.replace("tier: device", "tier: device\n    address: 192.0.2.1"))
    assert (
        said == "c.yaml:9: nodes 'cloud-1' and 'cam-1' have one address, 192.0.2.1; give each machine its own address"
    )


def test_only_the_rig_needs_a_path_between_all_nodes(valid: str) -> None:
    text = valid[: valid.index("links:")].replace("hosts: rig", "hosts: local")
    assert parse(text).links == ()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ClusterFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: there is no such file; check the path"


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ClusterFileError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: this is a directory; name a cluster file inside it"


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_path_that_cannot_be_opened(path: str) -> None:
    with pytest.raises(ClusterFileError, match=r"the file cannot be read \(.*\); check the path and its rights"):
        load(path)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: demo\nhosts: caf\xe9\n")
    with pytest.raises(ClusterFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:2: this is not UTF-8 text; save the file as UTF-8"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ClusterFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: the file is larger than 1 MiB; a cluster file is a page or two of text"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path, valid: str) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + valid.encode())
    assert load(str(path)) == parse(valid)


def test_an_alias_bomb_costs_nothing() -> None:
    rows = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    started = time.process_time()
    assert "anchors and aliases" in sentence("a0: &a0 [x]\n" + rows)
    assert time.process_time() - started < 1


def test_the_error_carries_its_data_and_pickles(valid: str) -> None:
    with pytest.raises(ClusterFileError) as caught:
        parse(valid.replace("25 ms", "25"), "c.yaml")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.file, error.line, str(error)) == ("c.yaml", 14, str(caught.value))


@given(line=st.integers(0, 12), text=st.text(max_size=30))
def test_any_line_of_any_text_gives_a_spec_or_one_error(line: int, text: str) -> None:
    lines = (CLUSTERS / "one-machine.yaml").read_text().splitlines()
    lines[line + 3] = text
    try:
        parse("\n".join(lines), "c.yaml")
    except ClusterFileError as error:
        assert str(error).startswith("c.yaml:")
        assert error.line >= 1
