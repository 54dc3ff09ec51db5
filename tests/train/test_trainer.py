import numpy as np
import pytest
import torch

from grainsmith.models.grainnet import GrainNet
from grainsmith.samples import training_field
from grainsmith.segment.normalize import to_grey
from grainsmith.train import (
    Tile,
    Trainer,
    TrainSettings,
    augment,
    cut_tile,
    loss,
    run_training,
    training_targets,
)
from grainsmith.train.trainer import tile_losses

SETTINGS = TrainSettings(steps=4, learning_rate=1e-3, average_steps=2, threads=1)


def field(seed=1, size=96):
    image, labels = training_field((11, seed), size)
    return Tile.from_field(to_grey(image)[0], labels)


def batches(seed=0):
    rng = np.random.default_rng(seed)
    while True:
        tiles = [cut_tile(rng, field(k), size_px=64, scale=1.0) for k in (4, 8)]
        yield (
            torch.from_numpy(np.stack([augment(rng, t.image)[None] for t in tiles])),
            torch.from_numpy(np.stack([training_targets(t) for t in tiles])),
        )


def trainer(settings=SETTINGS):
    torch.manual_seed(0)
    return Trainer(GrainNet((1, 4, 8)), settings)


def test_the_loss_falls():
    learner = trainer(
        TrainSettings(steps=40, learning_rate=1e-2, warm_up_steps=5, average_steps=5, threads=1)
    )
    values = []
    run_training(learner, batches(), on_step=lambda _, value: values.append(value))
    assert np.mean(values[-10:]) < np.mean(values[:5]) - 0.15


def test_a_resumed_training_has_the_same_losses(tmp_path):
    whole, values = trainer(), []
    run_training(whole, batches(), on_step=lambda _, value: values.append(value))
    first, source, again = trainer(), batches(), []
    for _ in range(2):
        first.train_step(*next(source))
    torch.save(first.state(), tmp_path / "state.pt")
    second = trainer()
    second.resume(torch.load(tmp_path / "state.pt", weights_only=True))
    run_training(second, source, on_step=lambda _, value: again.append(value))
    assert second.step == 4
    assert again == pytest.approx(values[2:], rel=0.02)


def test_a_batch_without_a_finite_gradient_is_left_out():
    learner = trainer()
    images, wanted = next(batches())
    learner.train_step(images, wanted)
    before = {k: v.clone() for k, v in learner.net.named_parameters()}
    wanted[0, 0] = torch.inf
    learner.train_step(images, wanted)
    for name, value in learner.net.named_parameters():
        torch.testing.assert_close(value, before[name])


def test_the_averaged_network_differs_from_the_last_weights():
    learner = trainer()
    run_training(learner, batches(), on_step=lambda *_: None)
    kept = learner.averaged_network()
    assert not kept.training
    assert not torch.equal(kept.output[2].weight, learner.net.output[2].weight)


def test_initial_weights_keep_their_share_in_the_averaged_network():
    learner = trainer(TrainSettings(steps=4, threads=1, start_share=0.25))
    start = learner.net.output[2].weight.detach().clone()
    run_training(learner, batches(), on_step=lambda *_: None)
    learnt = learner.average.module.output[2].weight
    assert not torch.equal(learnt, start)
    mixed = learner.averaged_network().output[2].weight
    torch.testing.assert_close(mixed, 0.25 * start + 0.75 * learnt)


def test_the_loss_of_a_batch_is_the_weighted_mean_of_its_tiles():
    images, wanted = next(batches())
    output = torch.randn(2, 3, 64, 64)
    weight = wanted[:, 3].sum(dim=(1, 2))
    mean = (tile_losses(output, wanted) * weight).sum() / weight.sum()
    torch.testing.assert_close(loss(output, wanted), mean)
    wanted[0, 3] = 0
    assert tile_losses(output, wanted)[0] == 0
    assert images.shape == (2, 1, 64, 64)
