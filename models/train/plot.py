"""The learning curve as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def plot_history(history: list[dict[str, float]], path: Path) -> None:
    """Draw training loss and test accuracy over the epochs."""
    epochs = [row["epoch"] for row in history]
    figure, loss_axis = plt.subplots(figsize=(6, 3.6), dpi=100)
    loss_axis.plot(epochs, [row["loss"] for row in history], color="tab:gray", label="loss")
    loss_axis.set_xlabel("epoch")
    loss_axis.set_ylabel("training loss (augmented pictures, smoothed labels)", fontsize=8)
    accuracy_axis = loss_axis.twinx()
    accuracy_axis.plot(
        epochs, [100 * row["accuracy"] for row in history], color="tab:blue", label="accuracy"
    )
    accuracy_axis.set_ylabel("test accuracy, averaged weights (%)", color="tab:blue", fontsize=8)
    accuracy_axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
