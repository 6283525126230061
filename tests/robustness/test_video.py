"""Corruptions of whole clips, and what of them stays the same from frame to frame."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import catalog, video
from tests.robustness import guarantees, pictures

pytestmark = pytest.mark.one_backend

NAMES = robustness.names("video")
ORDERS = ["frame_drop", "freeze", "frame_jumble"]  # change which frames are seen only


def numbered(clips, frames, size=32):
    """Returns uint8 clips of which every pixel holds the frame's number, from 1."""
    numbers = np.arange(1, frames + 1, dtype="uint8")[None, :, None, None, None]
    return np.broadcast_to(numbers, (clips, frames, size, size, 1)).copy()


def strength(name, severity):
    return catalog.get(name).strength(severity, "cifar")


def test_all_of_the_family_are_for_clips_and_no_others_are():
    clip_only = [n for n in robustness.names() if catalog.get(n).time == "clip"]
    assert list(NAMES) == clip_only
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
def test_images_are_refused(name):
    with pytest.raises(ValueError, match=r"for videos: .*\(N, T, H, W, C\).* Received"):
        robustness.corrupt(np.zeros((2, 8, 8, 3), "uint8"), name, 1)


@hypothesis.settings(max_examples=120)
@hypothesis.given(
    name=st.sampled_from(NAMES),
    severity=st.integers(1, 5),
    frames=st.integers(1, 20),
    height=st.one_of(st.just(1), st.integers(1, 24)),
    width=st.one_of(st.just(1), st.integers(1, 24)),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(["uint8", "float16", "float32"]),
    seed=st.integers(0, 2**40),
)
def test_any_clip_keeps_its_shape_dtype_and_range_and_comes_out_the_same_twice(
    name, severity, frames, height, width, channels, dtype, seed
):
    shape = (2, frames, height, width, channels)
    clips = np.random.default_rng(seed).random(shape)
    clips = (clips * (255 if dtype == "uint8" else 1)).astype(dtype)
    guarantees.assert_sound(clips, name, severity, seed=seed)


@pytest.mark.parametrize("name", NAMES)
@hypothesis.settings(max_examples=5)
@hypothesis.given(severity=st.integers(1, 5), first_index=st.integers(0, 10**6))
def test_a_clip_does_not_depend_on_the_batch_it_comes_in(name, severity, first_index):
    clips = pictures.clips(5)
    guarantees.assert_independent_of_the_batch(clips, name, severity, first_index)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_each_severity_is_farther_from_the_clean_clip(name, channels):
    clips = pictures.clips(120, frames=16)[..., :channels]
    found = [
        pictures.distance(robustness.corrupt(clips, name, severity), clips)
        for severity in range(1, 6)
    ]
    assert found[0] > 0
    assert (np.diff(found) > 0).all(), found


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_of_one_frame_loses_what_one_frame_can_lose(name):
    clips = pictures.clips(10)[:, :1]
    result = robustness.corrupt(clips, name, 5)
    changed = (result != clips).any(axis=(1, 2, 3, 4))
    assert changed.all() if name not in ORDERS else not changed.any()


@pytest.mark.parametrize("name", NAMES)
def test_clips_and_seeds_have_draws_of_their_own(name):
    clips = np.repeat(pictures.clips(1, frames=16), 6, axis=0)
    result = robustness.corrupt(clips, name, 3)
    assert len(np.unique(result, axis=0)) > 1
    assert (robustness.corrupt(clips, name, 3, seed=1) != result).any()


# ---- the camera and the light ----


@hypothesis.given(
    frames=st.integers(1, 200),
    paths=st.integers(1, 3),
    fastest=st.floats(0.01, 0.2),
    seed=st.integers(0, 999),
)
def test_paths_are_smooth_and_bounded(frames, paths, fastest, seed):
    path = video.smooth_path(frames, paths, fastest, np.random.default_rng(seed))
    assert path.shape == (paths, frames)
    bound = np.sqrt(2 * video.WAVES)
    assert np.abs(path).max() <= bound
    step = 2 * np.pi * fastest * bound
    assert np.abs(np.diff(path)).max(initial=0) <= step
    assert np.abs(np.diff(path, 2)).max(initial=0) <= step * 2 * np.pi * fastest


def test_paths_have_a_variance_of_one():
    path = video.smooth_path(50, 500, 0.1, np.random.default_rng(0))
    assert path.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("severity", [1, 3])
def test_a_shaking_camera_moves_the_picture_smoothly(severity):
    clips = np.zeros((6, 30, 64, 64, 1), "float32")
    clips[:, :, 31:33, 31:33] = 1  # near the centre, where a turn moves little
    result = robustness.corrupt(clips, "camera_shake", severity)[..., 0]
    mass = result.sum(axis=(2, 3))
    places = np.stack(
        [
            (result.sum(axis=3) * np.arange(64)).sum(axis=2) / mass,
            (result.sum(axis=2) * np.arange(64)).sum(axis=2) / mass,
        ]
    )
    deviation = strength("camera_shake", severity) * 64
    assert 0.5 * deviation < (places - 31.5).std() < 1.5 * deviation
    steps = np.abs(np.diff(places, axis=2))
    bound = 2 * np.pi * video.SHAKE * np.sqrt(2 * video.WAVES) * deviation
    assert 0 < steps.max() < bound + 0.1
    assert (steps.max(axis=2) > 0.05).all()  # every clip, in both directions


def test_exposure_drifts_slowly_and_is_the_same_all_over_a_frame():
    clips = np.full((20, 16, 6, 6, 1), 0.1, "float32")
    result = robustness.corrupt(clips, "exposure_drift", 3)
    np.testing.assert_array_equal(result, result[:, :, :1, :1] * np.ones_like(result))
    stops = 2.2 * np.log2(result[:, :, 0, 0, 0] / 0.1)
    assert 0.7 < stops.std() / strength("exposure_drift", 3) < 1.3
    steps = np.abs(np.diff(stops, axis=1))
    assert (steps.max(axis=1) > 0).all()
    assert steps.max() < 0.7
    assert (stops.max() > 1) and (stops.min() < -1)


# ---- the stream ----


@pytest.mark.parametrize("severity", [1, 5])
def test_lost_macroblocks_hold_what_was_there_until_the_next_key_frame(severity):
    frames = 40
    clips = numbered(12, frames)
    result = robustness.corrupt(clips, "packet_loss_burst", severity)[..., 0]
    grey = int(0.5 * 255)
    for clip in result:
        shown = clip.astype(int)
        shown[shown == grey] = 0  # there was nothing before
        own = np.arange(1, frames + 1)[:, None, None]
        assert (shown <= own).all()
        stale = shown < own
        # While a block is stale it shows one and the same frame.
        went_on = stale[1:] & stale[:-1]
        moved = (shown[1:] != shown[:-1]) & went_on
        for t in np.flatnonzero(moved.any(axis=(1, 2))):
            assert (shown[t + 1][moved[t]] >= t + 1 - video.GROUP).all()
        lost = stale.any(axis=(1, 2))
        begins = np.flatnonzero(lost[1:] & ~lost[:-1])
        assert len(begins) >= 1
        # None is stale for longer than from one key frame to the next.
        assert (own - shown)[:, :, :].max() < 2 * video.GROUP
        assert not lost.all()


def test_a_burst_ends_at_a_key_frame_and_comes_in_every_group():
    clips = numbered(30, 61)
    stale = robustness.corrupt(clips, "packet_loss_burst", 3) != clips
    lost = stale.any(axis=(2, 3, 4))
    for clip in lost:
        ends = np.flatnonzero(clip[:-1] & ~clip[1:]) + 1  # frames that are good again
        assert len(set(ends % video.GROUP)) == 1
        # Groups run into one another where a burst begins with its key frame.
        assert 1 <= len(ends) <= 5


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_bits_are_scarce_for_a_stretch_of_the_clip_and_the_rest_is_untouched(severity):
    clips = pictures.clips(12, frames=20)
    result = robustness.corrupt(clips, "bitrate_collapse", severity)
    changed = (result != clips).any(axis=(2, 3, 4))
    share = strength("bitrate_collapse", severity)[2]
    for clip in changed:
        assert clip.sum() == round(20 * share)
        assert np.count_nonzero(np.diff(clip)) <= 2  # one stretch


# ---- the order of frames ----


@hypothesis.given(
    frames=st.integers(1, 60), severity=st.integers(1, 5), seed=st.integers(0, 999)
)
def test_a_frozen_clip_shows_one_frame_for_its_share_and_then_goes_on(
    frames, severity, seed
):
    clips = numbered(3, frames, size=2)
    result = robustness.corrupt(clips, "freeze", severity, seed=seed)
    assert (np.ptp(result, axis=(2, 3, 4)) == 0).all()
    for clip in result[:, :, 0, 0, 0].astype(int):
        frozen = np.flatnonzero(clip != np.arange(1, frames + 1))
        if frames == 1:
            assert not len(frozen)
            continue
        length = max(1, round(strength("freeze", severity) * (frames - 1)))
        assert len(frozen) == length
        assert frozen[-1] - frozen[0] == length - 1
        assert (clip[frozen] == clip[frozen[0] - 1]).all()


@hypothesis.given(
    frames=st.integers(1, 60), severity=st.integers(1, 5), seed=st.integers(0, 999)
)
def test_a_lost_frame_is_replaced_by_the_one_before(frames, severity, seed):
    clips = numbered(3, frames, size=2)
    result = robustness.corrupt(clips, "frame_drop", severity, seed=seed)
    assert (np.ptp(result, axis=(2, 3, 4)) == 0).all()
    for clip in result[:, :, 0, 0, 0].astype(int):
        assert clip[0] == 1
        own = np.arange(1, frames + 1)[1:]
        assert ((clip[1:] == own) | (clip[1:] == clip[:-1])).all()


@pytest.mark.parametrize("severity", range(1, 6))
def test_as_many_frames_are_lost_as_the_severity_says(severity):
    clips = numbered(30, 101, size=1)
    lost = robustness.corrupt(clips, "frame_drop", severity) != clips
    expected = strength("frame_drop", severity) * 100 / 101
    assert lost.mean() == pytest.approx(expected, abs=0.04)
    assert lost[:, 1].any() and lost[:, -1].any()


@hypothesis.given(
    frames=st.integers(1, 60), severity=st.integers(1, 5), seed=st.integers(0, 999)
)
def test_jumbled_frames_are_all_there_and_none_is_far_from_its_place(
    frames, severity, seed
):
    clips = numbered(3, frames, size=2)
    result = robustness.corrupt(clips, "frame_jumble", severity, seed=seed)
    for clip in result[:, :, 0, 0, 0].astype(int):
        np.testing.assert_array_equal(np.sort(clip), np.arange(1, frames + 1))
        moved = np.abs(clip - np.arange(1, frames + 1))
        assert moved.max() <= strength("frame_jumble", severity)
