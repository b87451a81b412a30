"""What the walk through the page says beside its pictures: (name of the picture, heading, words)."""

INTRODUCTION = (
    "Made by `docs/page/make_walk.py`, which trains three small models on phantoms, does each step in a "
    "browser and takes the pictures. How the page is started and what it takes: [the page](page.md)."
)
STEPS = (
    ("page-start", "Choose a model, and drop a study",
     "Each model says what it answers, of which images, and what its audit found. A study is a "
     "folder, files or a zip; it is answered as soon as it is dropped, or chosen with a button."),
    ("page-card", "Read the model's card first",
     "It opens from the list of models and beside every answer: what the model is for, its numbers "
     "with intervals, and the audit's verdict with what it looked for."),
    ("page-volume", "See the answer and where the network looked",
     "Here a phantom of a brain with four sequences, and a network of few epochs, whose map lies "
     "where no brain is: that is what one looks for. The crosshair starts at the largest value of "
     "the map. The three planes have the same scale, with the patient's right at the left. Beside "
     "the probabilities stand the classes that cannot be ruled out, and whether the images are "
     "like the training data."),
    ("page-plane", "One plane, another opacity",
     "A plane alone, by the arrows from slice to slice; the keys 1 to 9 set the opacity of the "
     "map, `c` hides the crosshair, `n` and `p` lead to the next and the previous case."),
    ("page-keys", "The keys",
     "`?` shows them. Letters and digits can be switched off."),
    ("page-members", "A model of several networks, and how far they are apart",
     "Three networks, one a fold, answer together. Beside the mean of each class stands the standard "
     "deviation (SD) of their probabilities: where it is large, the answer rests on which patients a "
     "network was trained on. Several files are a list of cases; here it is sorted so that those come "
     "first on which the members disagree most."),
    ("page-search", "Search the list",
     "By file, class or case. Keys and buttons go through the cases that were found, in their order."),
    ("page-segmentation", "A segmentation, with its volume",
     "What was found has a colour, and its volume stands beside it in millilitres and in voxels. "
     "The labels can be downloaded on the grid of the file. Here a network of few epochs takes a part "
     "of the cerebellum for tumour, so the volume is too large: the planes show it."),
    ("page-reading", "Reading mode: a label first",
     "The server sends no answer before the reader's label has arrived."),
    ("page-answered", "Then the answer",
     "With the map. A correction is kept beside the label, not in its place."),
    ("page-agreement", "Agreement at the end",
     "With the model, and with other readers whose tables are added. Here the second reader is "
     "made up."),
    ("page-dark", "Dark",
     "As the system asks for it."),
    ("page-narrow", "On a telephone",
     "400 pixels wide: nothing scrolls sideways."),
)  # fmt: skip


def as_markdown() -> str:
    """The walk with its pictures."""
    parts = ["# A walk through the page", INTRODUCTION]
    for name, title, words in STEPS:
        parts += [f"## {title}", words, f"![{title}](pictures/{name}.png)"]
    return "\n\n".join(parts) + "\n"
