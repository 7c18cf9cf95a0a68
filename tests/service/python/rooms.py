"""Rooms made with the command line over the network."""

import data


def make_room(world, name, creator, others, settings=""):
    """A room at the host that all have accepted."""
    template = creator.glovebox("room", "template", host=True)
    host_key = next(line for line in template.splitlines() if line.startswith("host_key"))
    text = f'name = "{name}"\nregion = "test"\n{host_key}\n{settings}\n'
    for party in (creator, *others):
        text += (f'[[collaborators]]\nalias = "{party.alias}"\norganisation = "{party.alias} inc"\n'
                 f'public_key = "{party.public_key}"\n')
    file = creator.write(f"{name}.toml", text)
    creator.glovebox("room", "create", file, "--as", creator.key, host=True)
    for party in others:
        party.glovebox("room", "accept", name, "--as", party.key, host=True)


def offer_tables(room, retail, media):
    for party, table, rows in ((retail, "customers", data.customers()), (media, "exposures", data.exposures())):
        file = data.write_parquet(party.home / f"{table}.parquet", rows)
        party.glovebox("table", "add", room, f"{party.alias}.{table}", "--from", file,
                       "--as", party.key, host=True)


def revision(party, room, notebook):
    shown = party.glovebox("room", "show", room, "--as", party.key, host=True, json_output=True)
    found = next(listed for listed in shown["notebooks"] if listed["name"] == notebook)
    return found["revisions"][-1]["digest"]


def offer_notebook(room, name, text, author, approvers, runner=None):
    """Builds, offers and lets everyone approve; gives the revision."""
    source = author.write(f"{name}.sql", text)
    component = author.home / f"{name}.wasm"
    author.glovebox("build", source, "-o", component)
    author.glovebox("notebook", "add", room, component, "--runner", (runner or author).alias,
                    "--as", author.key, host=True)
    digest = revision(author, room, name)
    for party in approvers:
        party.glovebox("review", room, name, "--approve", digest, "--as", party.key, host=True)
    return digest


def run(party, room, notebook, *parameters):
    words = [word for parameter in parameters for word in ("--param", parameter)]
    return party.glovebox("run", room, notebook, *words, "--as", party.key, host=True, json_output=True)
