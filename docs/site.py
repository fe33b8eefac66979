"""What the site's build adds to docs/: pages that lie elsewhere in the repository, and their links.

Links are written for the repository, where every page can be read too. Here a link to a page leads
to its place in the site, and a link to any other file to a copy of it below `files/`. Pictures in
Mermaid are drawn when the site is built, so that its pages fetch nothing.
"""

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

import mermaidx
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "config/README.md": "configuration.md",
    "profiles/slurm/README.md": "slurm-profile.md",
}
SOURCES = {page: source for source, page in ELSEWHERE.items()}
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages of other folders, and a copy of each file that a page links to."""
    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for written in files.documentation_pages():
        for drawing in MERMAID.findall(written.content_string):
            drawn = mermaidx.render(drawing).svg()
            files.append(File.generated(config, _picture(drawing), content=drawn))
    linked = {
        _target(page.src_uri, link)
        for page in files.documentation_pages()
        for link in LINK.findall(page.content_string)
    }
    for target in sorted(linked):
        if _place(target).startswith("files/") and (ROOT / target).is_file():
            files.append(File.generated(config, _place(target), abs_src_path=str(ROOT / target)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the site, and Mermaid into its picture."""
    here = page.file.src_uri
    folder = str(PurePosixPath(here).parent)
    linked = LINK.sub(
        lambda link: os.path.relpath(_place(_target(here, link[0])), folder), markdown
    )
    return MERMAID.sub(lambda m: f"![Diagram]({os.path.relpath(_picture(m[1]), folder)})", linked)


def _picture(drawing: str) -> str:
    """Where the site has the picture of a drawing in Mermaid."""
    return f"diagrams/{hashlib.sha256(drawing.encode()).hexdigest()[:12]}.svg"


def _target(page: str, link: str) -> str:
    """What a link leads to, from the root of the repository."""
    source = PurePosixPath(SOURCES.get(page, f"docs/{page}"))
    return os.path.normpath(source.parent / link)


def _place(target: str) -> str:
    """Where the site has it, from the root of the site."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return ELSEWHERE.get(target, f"files/{target}")
