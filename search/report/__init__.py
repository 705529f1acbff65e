"""How a study is shown: what it has seen so far, in numbers and in one picture."""

LANDSCAPE_FILE = "landscape.png"
