import asyncio
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from facenapi.config.options import Config
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import Overloaded, StartupError
from facenapi.geometry import Box
from tests.detector.conftest import DETECTORS
from tests.support import photos
from tests.support.effort import daily

WANTED = frozenset({"age", "gender", "emotions"})
UPSTREAM = {"astronaut": Box(181.6, 63.7, 264.6, 171.1), "grace_hopper": Box(178.4, 109.9, 351.4, 329.8)}


def started(model_pack, **options):
    return FaceDetector(Config(model_pack=str(model_pack), device="cpu", **options))


@pytest.mark.parametrize("name", UPSTREAM)
async def test_finds_what_upstream_finds(detector, make_photo, name):
    (face,) = await detector.detect(make_photo(getattr(photos, name)()))
    assert face.box.overlap(UPSTREAM[name]) > 0.75
    assert face.score > 0.8
    inside = (face.landmarks > (face.box.x1, face.box.y1)) & (face.landmarks < (face.box.x2, face.box.y2))
    assert inside.all()


async def test_largest_first(detector, make_photo):
    faces = await detector.detect(make_photo(photos.two_faces()))
    assert len(faces) == 2
    assert faces[0].box.area > faces[1].box.area


async def test_no_face(detector, make_photo):
    photo = make_photo(photos.no_face())
    assert await detector.detect(photo) == []
    assert (await detector.embed(photo, [])).shape == (0, 192)
    assert await detector.attributes(photo, [], WANTED) == []


async def test_embeddings_are_unit_vectors_that_tell_people_apart(detector, make_photo):
    photo = make_photo(photos.two_faces())
    vectors = await detector.embed(photo, await detector.detect(photo))
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert detector.confidence(float(vectors[0] @ vectors[1])) < 0.6616
    assert detector.confidence(float(vectors[0] @ vectors[0])) == 1.0


async def test_attributes(detector, make_photo):
    photo = make_photo(photos.astronaut())
    (face,) = await detector.detect(photo)
    (told,) = await detector.attributes(photo, [face], WANTED)
    assert told.gender == "female"
    assert 25 < told.age < 42
    assert told.emotions[0] == "happy"
    assert len(told.emotions) == 2
    (only,) = await detector.attributes(photo, [face], frozenset({"gender"}))
    assert (only.age, only.gender, only.emotions) == (None, "female", None)


async def test_box_that_the_caller_drew(detector, make_photo):
    photo = make_photo(photos.astronaut())
    (face,) = await detector.detect(photo)
    drawn = Box(175, 60, 270, 175)
    located = await detector.locate(photo, drawn)
    assert located.box.overlap(face.box) > 0.8
    assert not located.guessed
    assert np.abs(located.landmarks - face.landmarks).max() < 8
    vectors = await detector.embed(photo, [face, located])
    assert detector.confidence(float(vectors[0] @ vectors[1])) > 0.75


@pytest.mark.parametrize("box", daily([Box(-50, 300, 90, 430), Box(10, 10, 60, 60), Box(420, 400, 600, 700)]))
async def test_box_without_a_face_still_gives_a_vector(detector, make_photo, box):
    photo = make_photo(photos.astronaut())
    located = await detector.locate(photo, box)
    assert (located.box, located.guessed) == (box, True)
    vectors = await detector.embed(photo, [located])
    assert np.isfinite(vectors).all()
    assert len(await detector.attributes(photo, [located], WANTED)) == 1
    (quality,) = await detector.quality(photo, [located])
    assert quality.score == 0


def wall(noise):
    """A lit wall: grey that grows brighter to one side, with a camera's noise."""
    slope = np.linspace(90, 170, 400)[None, :, None] + np.zeros((300, 400, 3))
    pixels = slope + np.random.default_rng(3).normal(0, noise, (300, 400, 3))
    return photos.encode(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))


@pytest.mark.parametrize("noise", daily([3, 0]))
async def test_there_is_nothing_on_a_wall(default, make_photo, noise):
    assert await default.locate(make_photo(wall(noise)), Box(100, 100, 200, 220)) is None


@pytest.mark.parametrize(
    "box", [Box(5, 5, 6, 6), Box(100, 100, 100.4, 100.4), Box(200, 70, 260, 76), Box(-90, 0, 3, 90)]
)
async def test_there_is_nothing_in_a_few_pixels(default, make_photo, box):
    assert await default.locate(make_photo(photos.astronaut()), box) is None


async def everything_of(detector, photo):
    """Return all that is told of the faces on a photo, comparable to the bit."""
    faces = await detector.detect(photo)
    vectors = await detector.embed(photo, faces)
    told = await detector.attributes(photo, faces, WANTED)
    found = [(face.box, face.score, face.landmarks.tobytes()) for face in faces]
    return found, vectors.tobytes(), told, await detector.quality(photo, faces)


FILES = [photos.astronaut, photos.grace_hopper, photos.two_faces]


@pytest.mark.slow
async def test_same_answer_in_any_order_and_company(detector, make_photo):
    """Bit-equal alone and among others at the same time, first and last."""
    files = [make() for make in FILES]
    alone = [await everything_of(detector, make_photo(data)) for data in files]
    together = await asyncio.gather(*[everything_of(detector, make_photo(data)) for data in (files * 4)[::-1]])
    assert together[::-1] == alone * 4


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
async def test_same_answer_with_any_number_of_threads(model_pack, make_photo, precision):
    """Bit-equal however the runtime divides a network among threads, and on whichever it runs."""
    answers = []
    for threads in (1, 2, 3):
        running = started(model_pack, threads=threads, embedding_precision=precision)
        await running.start()
        together = await asyncio.gather(*[everything_of(running, make_photo(make())) for make in FILES * 2])
        answers += [together[:3], together[3:]]
        await running.close()
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("scale", [2, pytest.param(5, marks=pytest.mark.slow)])
async def test_large_photos_keep_their_coordinates(detector, make_photo, scale):
    image = Image.open(io.BytesIO(photos.astronaut()))
    large = image.resize((512 * scale, 512 * scale), Image.Resampling.BICUBIC)
    photo = make_photo(photos.encode(large, "JPEG", quality=92))
    face = (await detector.detect(photo))[0]  # enlarged grain may look like a tiny second face
    assert face.box.overlap(UPSTREAM["astronaut"].scaled(scale)) > 0.75
    small = make_photo(photos.astronaut())
    (vector,) = await detector.embed(photo, [face])
    (other,) = await detector.embed(small, await detector.detect(small))
    assert detector.confidence(float(vector @ other)) > 0.85


@pytest.mark.slow
async def test_small_face_on_a_large_photo_is_cut_from_the_full_one(detector, make_photo):
    """1/8 of the pixels must not be all that the embedding sees."""
    image = Image.open(io.BytesIO(photos.astronaut())).convert("RGB")
    canvas = Image.new("RGB", (5200, 3900), (90, 90, 90))
    canvas.paste(image, (2000, 1500))
    photo = make_photo(photos.encode(canvas, "JPEG", quality=95))
    assert photo.reduced.scale_x == 0.25
    (face,) = await detector.detect(photo)
    (vector,) = await detector.embed(photo, [face])
    small = make_photo(photos.astronaut())
    (other,) = await detector.embed(small, await detector.detect(small))
    assert detector.confidence(float(vector @ other)) > 0.75


@pytest.mark.slow
async def test_size_limits_are_in_pixels_of_the_photo(model_pack, make_photo):
    image = Image.open(io.BytesIO(photos.astronaut()))
    photo = make_photo(photos.encode(image.resize((2560, 2560)), "JPEG"))  # a face of 420 x 535 pixels
    for smallest, largest, count in ((500, 0, 1), (600, 0, 0), (30, 600, 1), (30, 480, 0)):
        running = started(model_pack, nnd_min_face_size=smallest, nnd_max_face_size=largest)
        await running.start()
        assert len(await running.detect(photo)) == count
        await running.close()


async def test_face_that_fills_the_frame(detector, make_photo):
    image = Image.open(io.BytesIO(photos.astronaut())).convert("RGB")
    (face,) = await detector.detect(make_photo(photos.encode(image.crop((188, 66, 262, 166)))))
    assert face.box.x1 >= 0
    assert face.box.overlap(Box(0, 0, 74, 100)) > 0.7


@pytest.fixture(scope="module", params=DETECTORS)
def turning(request, packs):
    """A started detector that looks for faces on their sides."""
    running = started(packs(request.param), detect_rotated=True)
    asyncio.run(running.start())
    yield running
    asyncio.run(running.close())


@pytest.mark.parametrize("name", daily(UPSTREAM))
@pytest.mark.parametrize("degrees", daily([90, 180, 270]))
async def test_photo_on_its_side(turning, make_photo, degrees, name):
    """A detector may see a face that lies on its side; its points must be right all the same."""
    image = Image.open(io.BytesIO(getattr(photos, name)())).convert("RGB")
    width, height = image.size
    photo = make_photo(photos.encode(image.rotate(degrees, expand=True)))
    (face,) = await turning.detect(photo)
    upright = UPSTREAM[name]
    expected = {
        90: Box(upright.y1, width - upright.x2, upright.y2, width - upright.x1),
        180: Box(width - upright.x2, height - upright.y2, width - upright.x1, height - upright.y1),
        270: Box(height - upright.y2, upright.x1, height - upright.y1, upright.x2),
    }[degrees]
    assert face.box.overlap(expected) > 0.6
    straight = make_photo(getattr(photos, name)())
    (vector,) = await turning.embed(photo, [face])
    (other,) = await turning.embed(straight, await turning.detect(straight))
    assert turning.confidence(float(vector @ other)) > 0.85


async def test_full_queue_is_refused_and_a_caller_that_left_is_dropped(model_pack, make_photo):
    running = started(model_pack, threads=1, inference_queue=2)
    await running.start()
    photo = make_photo(photos.two_faces())
    jobs = [asyncio.ensure_future(running.detect(photo)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await running.detect(photo)
    jobs[2].cancel()
    await asyncio.wait(jobs)
    assert len(jobs[0].result()) == len(jobs[1].result()) == 2
    assert jobs[2].cancelled()
    assert len(await running.detect(photo)) == 2
    await running.close()


@pytest.mark.slow
async def test_views_are_part_of_the_embedding_name(model_pack, make_photo):
    one = started(model_pack, embedding_views=1)
    assert one.embedding_name == "mobilefacenet-192-1view"
    await one.start()
    photo = make_photo(photos.astronaut())
    vectors = await one.embed(photo, await one.detect(photo))
    assert vectors.shape == (1, 192)
    await one.close()


async def test_info_tells_the_real_provider(detector):
    info = detector.info()
    assert info["provider"] == "CPUExecutionProvider"
    assert info["embedding"] == "mobilefacenet-192"


def test_no_pack(tmp_path):
    with pytest.raises(StartupError, match="facenapi models build"):
        FaceDetector(Config(data_dir=str(tmp_path)))


async def test_damaged_pack_stops_the_start(model_pack, tmp_path):
    copy = shutil.copytree(model_pack, tmp_path / "pack")
    (copy / "onet.onnx").write_bytes(b"x")
    running = FaceDetector(Config(model_pack=str(copy)))
    with pytest.raises(StartupError, match=r"onet\.onnx is damaged"):
        await running.start()
    await running.close()


@pytest.mark.slow
async def test_a_crowd_lets_others_have_their_turn(detector, make_photo):
    photo = make_photo(photos.two_faces())
    faces = await detector.detect(photo)
    ended = []

    async def embed(name, count):
        vectors = await detector.embed(photo, [faces[at % 2] for at in range(count)])
        ended.append(name)
        return vectors

    crowds = [asyncio.ensure_future(embed("crowd", 40)) for _ in range(3)]
    await asyncio.sleep(0.05)
    one = await embed("one", 1)
    assert ended == ["one"]
    for vectors in await asyncio.gather(*crowds):
        np.testing.assert_array_equal(vectors, np.concatenate([one, vectors[1:2]] * 20))


async def test_of_too_many_faces_the_largest_are_taken(detector, make_photo, monkeypatch):
    photo = make_photo(photos.two_faces())
    both = await detector.detect(photo)
    monkeypatch.setattr(detector._config, "max_faces", 1)
    assert [face.box for face in await detector.detect(photo)] == [both[0].box]
    quality = await detector.quality(photo, both * 3)
    assert quality == [*await detector.quality(photo, both)] * 3
