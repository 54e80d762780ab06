"""What a store must do, said in the simplest way: dictionaries and linear scans.

Ids and revisions are the store's own affair, so :meth:`Oracle.add_faces` takes the faces that it made.
"""

from __future__ import annotations

from dataclasses import replace

from facenapi.storage.base import (
    DEFAULT_GALLERY,
    Camera,
    Face,
    FaceChange,
    FaceFilter,
    MetaSummary,
    Page,
    Person,
    PersonSummary,
    UnknownGalleryError,
    UnknownPersonError,
)

DAY_MS = 24 * 3600 * 1000


def same_camera(one: str, other: str) -> bool:
    return one.replace("-", "").lower() == other.replace("-", "").lower()


def matches(face: Face, where: FaceFilter) -> bool:
    return all(
        (
            where.gallery is None or where.gallery in face.galleries,
            where.meta is None or where.meta == face.meta,
            where.person_id is None or where.person_id == face.person_id,
            not where.events or face.cam_id is not None,
            where.cam_ids is None
            or (face.cam_id is not None and any(same_camera(face.cam_id, cam_id) for cam_id in where.cam_ids)),
            where.start_ms is None or face.timestamp_ms >= where.start_ms,
            where.end_ms is None or face.timestamp_ms <= where.end_ms,
            where.friend is None or face.friend == where.friend,
        )
    )


def window(keys: list[int], page: Page) -> list[int]:
    keys = sorted(
        key
        for key in keys
        if (page.max_id is None or key < page.max_id) and (page.min_id is None or key > page.min_id)
    )
    keys = keys[: page.limit] if page.min_id is not None else keys[-page.limit :]
    return keys[::-1]


class Oracle:
    def __init__(self) -> None:
        self.faces: dict[int, Face] = {}
        self.galleries: dict[str, set[str]] = {}
        self.persons: dict[str, int] = {}
        self.no_persons: set[tuple[str, int]] = set()
        self.cameras: dict[tuple[str, str], Camera] = {}

    def of(self, owner: str, where: FaceFilter = FaceFilter()) -> dict[int, Face]:  # noqa: B008  (frozen)
        return {i: face for i, face in self.faces.items() if face.owner == owner and matches(face, where)}

    # -- galleries ------------------------------------------------------------------------------
    def list_galleries(self, owner):
        return [DEFAULT_GALLERY, *sorted(self.galleries.get(owner, ()))]

    def has_gallery(self, owner, name):
        return name in self.list_galleries(owner)

    def add_gallery(self, owner, name):
        if self.has_gallery(owner, name):
            return False
        self.galleries.setdefault(owner, set()).add(name)
        return True

    def remove_gallery(self, owner, name):
        if name == DEFAULT_GALLERY or not self.has_gallery(owner, name):
            raise UnknownGalleryError(name)
        if self.of(owner, FaceFilter(gallery=name)):
            return False
        self.galleries[owner].remove(name)
        return True

    # -- faces ----------------------------------------------------------------------------------
    def check(self, owner, galleries, person_id):
        for name in galleries:
            if not self.has_gallery(owner, name):
                raise UnknownGalleryError(name)
        if person_id is not None and not self.has_person(owner, person_id):
            raise UnknownPersonError(person_id)

    def knows(self, owner, galleries, person_id):
        try:
            self.check(owner, galleries, person_id)
        except (UnknownGalleryError, UnknownPersonError):
            return False
        return True

    def add_faces(self, faces):
        self.faces.update((face.id, face) for face in faces)

    def get_faces(self, owner, ids):
        return {i: face for i, face in self.of(owner).items() if i in ids}

    def list_faces(self, owner, where, page):
        found = self.of(owner, where)
        return [found[i] for i in window(list(found), page)]

    def count_faces(self, owner, gallery=None):
        return len(self.of(owner, FaceFilter(gallery=gallery)))

    def update_face(self, owner, face_id, change: FaceChange):
        face = self.of(owner).get(face_id)
        if face is None:
            return None
        self.check(owner, [*(change.set_galleries or ()), *change.add_galleries], change.person_id)
        names = set(face.galleries if change.set_galleries is None else change.set_galleries)
        names = (names | set(change.add_galleries)) - set(change.del_galleries) - {DEFAULT_GALLERY}
        edits = {name: getattr(change, name) for name in ("meta", "person_id", "embedding", "model")}
        edits = {name: value for name, value in edits.items() if value is not None}
        self.faces[face_id] = replace(face, galleries=(DEFAULT_GALLERY, *sorted(names)), **edits)
        return self.faces[face_id]

    def delete_face(self, owner, face_id):
        return self.faces.pop(face_id) if face_id in self.of(owner) else None

    def delete_faces(self, owner, where, limit):
        return [self.faces.pop(face.id) for face in self.list_faces(owner, where, Page(limit))]

    def list_metas(self, owner, gallery, page):
        by_meta: dict[str, list[int]] = {}
        for i, face in self.of(owner, FaceFilter(gallery=gallery)).items():
            by_meta.setdefault(face.meta, []).append(i)
        first = {min(ids): len(ids) for ids in by_meta.values()}
        return [MetaSummary(first[i], self.faces[i]) for i in window(list(first), page)]

    # -- persons --------------------------------------------------------------------------------
    def new_person(self, owner):
        self.persons[owner] = self.persons.get(owner, 0) + 1
        return self.persons[owner]

    def remove_persons(self, owner, ids):
        self.no_persons |= {(owner, i) for i in ids if not self.of(owner, FaceFilter(person_id=i))}

    def has_person(self, owner, person_id):
        return 1 <= person_id <= self.persons.get(owner, 0) and (owner, person_id) not in self.no_persons

    def get_person(self, owner, person_id):
        if not self.has_person(owner, person_id):
            return None
        ids = self.of(owner, FaceFilter(person_id=person_id))
        if not ids:
            return Person(person_id, "", 0, None)
        return Person(person_id, self.faces[max(ids)].meta, len(ids), self.faces[min(ids)])

    def list_persons(self, owner, page):
        known = [i for i in range(1, self.persons.get(owner, 0) + 1) if self.has_person(owner, i)]
        known = [i for i in known if self.get_person(owner, i).count]
        return [PersonSummary(i, self.get_person(owner, i).meta) for i in window(known, page)]

    def sighting_days(self, owner, person_id, cam_id, start_ms, end_ms):
        where = FaceFilter(person_id=person_id, cam_ids=(cam_id,), start_ms=start_ms, end_ms=end_ms)
        return {face.timestamp_ms // DAY_MS for face in self.of(owner, where).values()}

    # -- cameras --------------------------------------------------------------------------------
    def add_camera(self, camera):
        self.cameras[camera.owner, camera.id] = camera

    def get_camera(self, owner, camera_id):
        return self.cameras.get((owner, camera_id))

    def list_cameras(self, owner, detector=None):
        return [
            c
            for c in self.cameras.values()
            if c.owner == owner and (detector is None or c.fields.get("detector") == detector)
        ]

    def update_camera(self, owner, camera_id, fields):
        camera = self.get_camera(owner, camera_id)
        if camera is not None:
            gone = {name for name, value in fields.items() if value is None}
            kept = {name: value for name, value in {**camera.fields, **fields}.items() if name not in gone}
            camera = self.cameras[owner, camera_id] = replace(camera, fields=kept)
        return camera

    def delete_camera(self, owner, camera_id):
        return self.cameras.pop((owner, camera_id), None) is not None
