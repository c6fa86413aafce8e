"""Running a page elsewhere: launch buttons, and a first cell that installs the package where there is none.

Both appear as soon as `_config.yml` names the repository (`repository`, `url`), and only then.
"""

import re

from ..errors import BadParameter

BRANCH = "notebooks"
"""The branch that holds the executed notebooks with their first cell; the workflow `book.yml` writes it."""
BUTTONS = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}
ADDRESS = re.compile(r"https://[\w.-]+(/[\w.-]+){2}")
INSTALL = """# Installs the package of this book where there is none, as on Colab. Elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("qrsupport") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "{requirement}"], check=True)
    importlib.invalidate_caches()"""


def repository(settings: dict) -> str:
    """The address of the repository that the book's settings name; empty if they name none.

    Raises BadParameter if it is no address of the form https://host/owner/name.
    """
    url = str((settings.get("repository") or {}).get("url") or "").strip().rstrip("/")
    if url and not ADDRESS.fullmatch(url):
        raise BadParameter(f"repository.url in _config.yml is {url!r}; it must have the form https://host/owner/name")
    return url


def buttons(settings: dict) -> dict:
    """The book's settings with launch buttons, or as they are if they name no repository."""
    url = repository(settings)
    if not url:
        return {name: value for name, value in settings.items() if name != "repository"}
    place = {"branch": BRANCH} | settings["repository"] | {"url": url}
    shown = BUTTONS | (settings.get("launch_buttons") or {})
    made = settings | {"repository": place, "launch_buttons": shown}
    own = ((settings.get("sphinx") or {}).get("config") or {}).get("html_theme_options")
    if own is not None:  # these take the place of all that Jupyter Book makes of the lines above
        own = own | {"launch_buttons": shown, "repository_url": url, "repository_branch": place["branch"]}
        made["sphinx"] = settings["sphinx"] | {"config": settings["sphinx"]["config"] | {"html_theme_options": own}}
    return made


def install(content: dict, settings: dict) -> dict:
    """A notebook (as JSON) whose second cell installs the package; as it is if the settings name no repository.

    The site does not show the cell.  It has no outputs and is never run for the site.
    """
    url = repository(settings)
    if not url:
        return content
    source = INSTALL.format(requirement=f"qrsupport @ git+{url}")
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": ["remove-cell"]},
        "outputs": [],
        "source": source,
    }
    if (content["nbformat"], content["nbformat_minor"]) >= (4, 5):
        cell["id"] = "install"
    return content | {"cells": [*content["cells"][:1], cell, *content["cells"][1:]]}
