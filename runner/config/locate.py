"""How an alert's host is found: which labels, variables and series may name it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from runner.config.section import Section, Text
from runner.errors import CatalogError
from runner.text import promql as queries

LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
#: Part of a job's name: `blackbox` in `blackbox-http`.
Word = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Join(Section):
    """A series that knows the host of what an alert names."""

    promql: Text  #: `$name` stands for the alert's label; without that label it is not asked
    label: LabelName  #: of the series, which names the host

    @field_validator("promql")
    @classmethod
    def _fillable(cls, promql: str) -> str:
        try:
            needed = queries.names(promql)
        except CatalogError as error:
            raise ValueError(str(error)) from None
        if not needed:
            raise ValueError(
                f"{promql!r} names no label of the alert, so it would find the same host for "
                'each; write such as ceph_daemon="$ceph_daemon"'
            )
        return promql


class Locate(Section):
    """Where to look for the inventory host that an alert is about, in this order."""

    labels: tuple[LabelName, ...] = (
        "instance",
        "host",
        "hostname",
        "nodename",
        "node",
        "exported_instance",
        "target",
        "exported_host",
        "kubernetes_node",
        "fqdn",
        "machine",
        "server",
        "instance_id",
        "dimension_InstanceId",
        "vm_name",
    )
    #: inventory variables with further addresses and names of a host, beside `ansible_host`
    #: and `runner_aliases`
    variables: tuple[LabelName, ...] = (
        "ip",
        "access_ip",
        "private_ip_address",
        "private_dns_name",
    )
    #: exporters that tell of others: the `instance` of such a job is never the host that is meant
    tellers: tuple[Word, ...] = (
        "consul",
        "ceph",
        "pushgateway",
        "federate",
        "federation",
        "kube-state-metrics",
        "cloudwatch",
        "yace",
        "stackdriver",
        "azure",
        "vmware",
        "vsphere",
        "pve",
        "proxmox",
        "openstack",
        "nomad",
    )
    #: exporters that probe others: there `instance` is what is probed, unless it has a port of
    #: exporters
    probers: tuple[Word, ...] = (
        "blackbox",
        "snmp",
        "ssl",
        "icmp",
        "ping",
        "smokeping",
        "ipmi",
        "redfish",
        "idrac",
        "domain",
        "json",
        "remote",
    )
    series: bool = True  #: ask Prometheus where labels and inventory name nobody
    joins: tuple[Join, ...] = (
        Join(promql='node_uname_info{instance="$instance"}', label="nodename"),
        Join(promql='ceph_osd_metadata{ceph_daemon="$ceph_daemon"}', label="hostname"),
        Join(promql='kube_pod_info{namespace="$namespace",pod="$pod"}', label="node"),
        Join(promql='kube_node_info{node="$node"}', label="internal_ip"),
    )
