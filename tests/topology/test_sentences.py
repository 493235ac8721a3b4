"""Keys and values that do not fit: each with its one sentence of file, line, problem and mend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# Each row: what is replaced in the valid file, by what, and what is said of it.
WRONG_KEYS = [
    (
        "    tier: device",
        "    teir: device",
        "8: node 'cam-1' has an unknown key, 'teir'; did you mean 'tier'?",
    ),
    (
        "hosts: rig",
        "hosts: rig\ncolour: blue",
        "3: the file has an unknown key, 'colour'; use one of: name, tiers, hosts, sites, nodes, links, policy, tls",
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
        "13: 'rate' of the link from 'plant-1' to 'region-1' is '20 ms', which is not a rate; "
        "write it like '20 Mbit/s'",
    ),
    (
        "25 ms",
        "25",
        "14: 'delay' of the link from 'plant-1' to 'region-1' is 25, which is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    (
        "25 ms",
        "-25 ms",
        "14: 'delay' of the link from 'plant-1' to 'region-1' is '-25 ms', which is not a duration of zero or "
        "more; write it like '25 ms'",
    ),
    (
        "25 ms",
        "-25",
        "14: 'delay' of the link from 'plant-1' to 'region-1' is -25, which is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    (
        "25 ms",
        ".nan",
        "14: 'delay' of the link from 'plant-1' to 'region-1' is nan, which is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    (
        "25 ms",
        "true",
        "14: 'delay' of the link from 'plant-1' to 'region-1' is true, which is not a duration with a unit; "
        "write it like '25 ms'",
    ),
    ("20 Mbit/s", "0", "13: 'rate' of the link from 'plant-1' to 'region-1' is 0; make it more than 0"),
    (
        "20 Mbit/s",
        "1e300 Mbit/s",
        "13: 'rate' of the link from 'plant-1' to 'region-1' is '1e300 Mbit/s', which is not a rate "
        "that can be real, it is too large; write it like '20 Mbit/s'",
    ),
    (
        "25 ms",
        "25 ms\n    loss: 150 %",
        "15: 'loss' of the link from 'plant-1' to 'region-1' is '150 %', which is not a share "
        "that can be real, it is too large; write it like '0.5 %'",
    ),
    (
        "25 ms",
        "25 ms\n    loss: -1 %",
        "15: 'loss' of the link from 'plant-1' to 'region-1' is '-1 %', which is not a share "
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
    ("name: demo", "name:", "1: 'name' of the file must be text, but it is empty; write text"),
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
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'; a name has 1 to 24 of a-z, 0-9 and '-', and begins and ends with a "
        "letter or digit; write it like 'aaaaaaaaaaaaaaaaaaaaaaaa'",
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
        f"9: '1{'0' * 59}' cannot be read as the number it looks like; write a plain number, or text in quotes",
    ),
    (
        "    tier: device",
        f"    tier: device\n    cpus: 1{'0' * 400}",
        f"9: 'cpus' of node 'cam-1' is 1{'0' * 39}...; make it at most 100000",
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
        "9: 'busy' of 'power' of node 'cam-1' is '2 J', which is not a power; write it like '5 W'",
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


@pytest.mark.parametrize(("old", "new", "said"), [*WRONG_KEYS, *WRONG_VALUES])
def test_a_key_or_value_that_does_not_fit_is_one_sentence(
    refusal: Callable[[str], str], valid: str, old: str, new: str, said: str
) -> None:
    assert old in valid
    assert refusal(valid.replace(old, new, 1)) == f"c.yaml:{said}"


@pytest.mark.parametrize(
    "new", ["{long}: 1", "name: {long}", "name: 5\n    site: {long}", "cpus: {long}", "name: !{long} x"]
)
def test_what_is_long_is_not_repeated_in_full(refusal: Callable[[str], str], valid: str, new: str) -> None:
    text = valid.replace("  - name: cam-1", f"  - {new.format(long='x' * 900)}")
    assert len(refusal(text)) < 300
