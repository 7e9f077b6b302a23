"""The commands beside painting one picture: `neural-style COMMAND ...`.

Each is a module of the same name with `main(argv) -> exit code`, imported only when it is called;
`COMMANDS` says in a line what each does.
"""

COMMANDS = {
    "networks": "list the networks by name and where they are; fetch one",
    "train": "train a network that paints any photograph in one pass",
    "apply": "paint photographs with such a network",
    "painters": "list them with their styles",
    "video": "paint a film, each frame held to the one before",
    "page": "do all this on a page in the browser",
}
