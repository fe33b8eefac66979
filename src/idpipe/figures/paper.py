"""What the paper shows in each of its figures, in our words, and the titles of its sections.

Parsing the Snakefile imports this module, so it imports neither numpy, pandas nor matplotlib.
"""

from __future__ import annotations

SECTIONS: dict[str, str] = {
    "1": "1 Introduction",
    "3": "3 Experiments",
    "3.1": "3.1 Fully connected networks",
    "3.2": "3.2 Convolutional networks",
    "3.3": "3.3 Changes of the input's size",
    "3.4": "3.4 Other factors of training",
    "A": "Appendix A, details of training",
    "C": "Appendix C, Theorem 1",
    "D": "Appendix D, Theorem 2",
    "E": "Appendix E, fully connected networks",
    "E.1": "E.1 Linear networks",
    "E.2": "E.2 Two-layer ReLU networks",
    "E.3": "E.3 Multi-layer ReLU networks",
    "F": "Appendix F, intermediate layers of CNNs",
    "G": "Appendix G, change of the weights",
    "H": "Appendix H, robustness of the biases",
    "H.1": "H.1 Other input sizes",
    "H.2": "H.2 Upper subnetworks",
    "I": "Appendix I, factors of training CNNs",
    "J": "Appendix J, correlation and MSE",
    "K": "Appendix K, seeds and training images",
    "L": "Appendix L, several training images",
    "M": "Appendix M, parameter counts",
    "N": "Appendix N, residual networks",
    "O": "Appendix O, CIFAR-10 images",
}
"""Number of a section -> number and title, in names that sort as the paper orders them."""

SHOWS: dict[str, str] = {
    "fig01": "After training on all 60,000 MNIST digits, a 20-layer CNN also passes on images that "
    "are no digits; the 1-layer and the 10-layer FCN do so for digits and their blends alone.",
    "fig02": "FCNs trained on one 7 fit it exactly. Shallow ones answer other images with noise, "
    "deep ones, linear or ReLU, with the 7.",
    "fig03": "CNNs of 128 channels trained on one 7: up to about 5 layers they pass images on, in "
    "the middle they outline edges, and the deepest print the 7 whatever they see.",
    "fig04": "Correlation of CNNs' outputs to the constant and to the identity map, by layers and "
    "by the probe's correlation to the training image: shallow ones are close to the identity, "
    "very deep ones to the constant, those between to neither.",
    "fig05": "The error rate of a simple averaging classifier on what each layer holds. Without "
    "training, nothing of the class is left after about six layers; trained CNNs lose and "
    "partly regain it, so that the curves rise and fall.",
    "fig06": "A 5-layer CNN trained at 28 × 28 still passes on inputs of 112 × 112; at 7 × 7 its "
    "identity map is disturbed.",
    "fig07": "A 20-layer CNN keeps printing its 7 over some range of input sizes, a smaller one "
    "than that over which the 5-layer CNN stays an identity.",
    "fig08": "Mean correlation to the constant and to the identity over depth, one curve per size "
    "of the training image: the smaller that image, the stronger the bias to the constant.",
    "fig09": "5-layer CNNs blur more the larger their filters are; at 57 × 57, which cover the "
    "whole image, they tend to the constant.",
    "fig10": "With 5 layers, 1,024 channels do no harm and 3 channels lose the image's centre; "
    "with 20 layers even 1,024 channels end in the constant.",
    "fig11": "Linear FCNs of 1, 3 and 5 hidden layers at several widths: depth changes the "
    "predictions more than width does.",
    "fig12": "Two-layer ReLU networks: with the bottom layer alone trained, predictions turn to "
    "speckled noise; with both, to the training image.",
    "fig13": "ReLU FCNs of 1, 3 and 9 hidden layers: the shallowest acts much like one linear "
    "layer, the deepest prints the training image with confidence.",
    "fig14": "Correlation heatmaps of ReLU (a) and linear (b) FCNs: ReLU networks reach the "
    "constant at smaller depth, and neither kind is an identity for probes nearly orthogonal to "
    "the training image.",
    "fig15": "What the layers hold, by top singular vector, in an untrained 20-layer CNN and in "
    "trained ones of 7, 14 and 20 layers: random layers smooth the input away, training brings "
    "it back at 14 layers, and at 20 draws a 7 from nothing.",
    "fig16": "Each layer of a trained 7-layer CNN in three views: the top singular vector, the "
    "channel most correlated with the input, and channel 0.",
    "fig17": "Each layer of a trained 14-layer CNN in the three views of Fig. 16: what the random "
    "layers washed out is back near the top.",
    "fig18": "Each layer of a trained 20-layer CNN in the three views of Fig. 16: the input is "
    "lost, and a 7 is built in the top layers.",
    "fig19": "How far each layer's weights moved from their initialization, relative to it: lower "
    "layers move less the deeper the network is, in CNNs never zero, while the five lowest of "
    "the 12-layer ReLU FCN hardly move.",
    "fig20": "The 5-layer CNN of Fig. 6 at the input sizes in between, inputs above predictions.",
    "fig21": "The layers of a 20-layer CNN at several input sizes: the 7 grows inwards from the "
    "image's borders in the last layers.",
    "fig22": "Images fed straight into the last layer of CNNs of several depths; the answers "
    "change where the networks turn from edges to the constant, at about 15 layers.",
    "fig23": "Images fed straight into the last two layers of CNNs of several depths, with a row "
    "for each of the two.",
    "fig24": "The top 3, 6 and 10 layers of the 20-layer CNN by themselves: the upper half "
    "already begins to build the 7.",
    "fig25": "Correlation heatmaps of 5-layer CNNs over the filters' size. The paper remarks that "
    "correlation tells little between images of different blur.",
    "fig26": "Predictions of 5-layer CNNs for all filter sizes from 5 × 5 to 57 × 57: the larger "
    "the filters, the blurrier.",
    "fig27": "Correlation heatmaps of 5-layer CNNs over their channels: with 3 the identity is "
    "missed.",
    "fig28": "CNNs of 3 channels: beyond 8 layers training fails to converge, and neighbouring "
    "depths differ much.",
    "fig29": "5-layer CNNs of 3 and of 128 channels before training, layer by layer: the wide one "
    "is smoother from the start.",
    "fig30": "5-layer CNNs of 3 and of 128 channels after training, layer by layer.",
    "fig31": "CNNs from six initializations: all are identities when shallow, Kaiming's leave "
    "heavy artifacts, and Xavier's act like the default with more layers.",
    "fig32": "CNNs trained with several optimizers and base rates: they reach different minimizers "
    "with clearly different biases.",
    "fig33": "The heatmaps of the linear FCNs of Fig. 14 in mean squared error; they agree with "
    "those in correlation.",
    "fig34": "The heatmaps of the ReLU FCNs of Fig. 14 in mean squared error.",
    "fig35": "The heatmaps of Fig. 4 in mean squared error.",
    "fig36": "Two more runs of Fig. 3's training with other seeds look the same.",
    "fig37": "Fig. 3 with another training image, a 3 and a 0: identity, edges and constant "
    "follow each other as before.",
    "fig38": "Networks trained on two images: those that learn the constant from one image now "
    "answer with mixtures of the two.",
    "fig39": "Networks trained on three images: as with two, deep ones answer with mixtures of the "
    "training images.",
    "fig40": "Networks trained on all 60,000 digits: even the 24-layer CNN is the identity; FCNs "
    "are so for digits alone.",
    "fig41": "FCNs with residual blocks lean strongly to the identity, with more noise the deeper "
    "they are.",
    "fig42": "FCNs and CNNs trained on one CIFAR-10 image, a dog, behave as on digits: shallow "
    "FCNs give noise, shallow CNNs the identity, deep networks the training image.",
    "fig43": "FCNs and CNNs trained on another CIFAR-10 image, an airplane, behave alike.",
    "table1": "The number of weights of every network that the paper trains.",
}
"""Figure -> what it shows in the paper; one that is not named here is none of the paper's."""


def category(section: str) -> str:
    """The category of the report that holds figures of a section."""
    return SECTIONS.get(section.partition(".")[0], "Other figures")


def subcategory(section: str) -> str | None:
    """The part of that category, where the section is one of several in a chapter."""
    return SECTIONS[section] if "." in section else None
