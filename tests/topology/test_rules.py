"""What must hold between the parts of a file: each broken rule with its one sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierflow.topology import parse

# Each row: what is replaced in the valid file, by what, and what is said of it.
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
        "tier: device",
        "tier: device\n    gateway: {outboxes: [a], http: 80, flight: 80}",
        "9: the gateway of node 'cam-1' has one port, 80, for HTTP and Flight; give each its own",
    ),
    (
        "tier: device",
        "tier: device\n    gateway: {listen: node}",
        "9: the gateway of node 'cam-1' neither takes nor gives anything; list 'outboxes' or 'versions'",
    ),
    (
        "tier: device",
        "tier: device\n    gateway: {versions: [a, b, a]}",
        "9: the gateway of node 'cam-1' lists 'a' twice; remove one",
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
        "7: no path of links leads from 'cloud-1' to 'cam-1'; "
        "let the link between 'cam-1' and 'plant-1' lead both ways",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), BROKEN_RULES)
def test_a_broken_rule_is_one_sentence(
    refusal: Callable[[str], str], valid: str, old: str, new: str, said: str
) -> None:
    assert old in valid
    assert refusal(valid.replace(old, new, 1)) == f"c.yaml:{said}"


def test_two_machines_have_two_addresses(refusal: Callable[[str], str], valid: str) -> None:
    text = valid.replace("hosts: rig", "hosts: machines").replace("region-1}", "region-1, address: 192.0.2.1}", 1)
    assert parse(text).head.address == "192.0.2.1"
    said = refusal(text.replace("tier: device", "tier: device\n    address: 192.0.2.1"))
    assert (
        said == "c.yaml:9: nodes 'cloud-1' and 'cam-1' have one address, 192.0.2.1; give each machine its own address"
    )


def test_only_the_rig_needs_a_path_between_all_nodes(valid: str) -> None:
    text = valid[: valid.index("links:")].replace("hosts: rig", "hosts: local")
    assert parse(text).links == ()
