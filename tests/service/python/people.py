"""The people of a party at its gateway: principals, tokens, and the released SDK."""

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config


def add_person(party, name, *privileges, kind="user"):
    """A principal with privileges on the whole gateway, and a bearer token."""
    state = ["--state", party.home / "gateway"]
    party.glovebox("gateway", "principal", "add", name, "--kind", kind, *state)
    for privilege in privileges:
        party.glovebox("gateway", "grant", name, privilege, *state)
    return party.glovebox("gateway", "token", "new", name, *state, json_output=True)["token"]


def workspace(party, token):
    """The SDK as anyone uses it, told where the gateway is and nothing else."""
    return WorkspaceClient(config=Config(host=party.gateway_url, token=token, auth_type="pat",
                                         retry_timeout_seconds=60))
