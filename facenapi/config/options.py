"""The table of options: name, type, default, range and meaning of each, once.

``reader.py`` reads files and command lines by this table, ``environment.py`` variables; ``text.py`` prints it as help
and as the commented sample in ``conf/``, which is the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from facenapi.config.lists import filled, host_of, hosts_of, networks_of, origins_of, path_of, ports_of, proxy_of


def option(
    section: str,
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    form: tuple[str, Callable[[str], object]] | None = None,
    reload: bool = False,
) -> Any:
    """Declare an option.

    ``form``: what a text must be, in a phrase, and a function that raises ValueError for any other. ``reload`` marks
    what a SIGHUP can change.
    """
    limits = {"low": low, "high": high, "choices": choices, "form": form}
    return field(default=default, metadata={"section": section, "help": text, **limits, "reload": reload})


@dataclass(slots=True)
class Config:
    """All options with their values. ``Config()`` has the defaults; tests pass what they change.

    Whoever needs an option reads it when it is needed, so that :meth:`adopt` has effect.
    """

    # -- Server ---------------------------------------------------------------------------------
    host: str = option(
        "Server",
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 for all interfaces.",
        form=("an address or the name of a host", host_of),
    )
    port: int = option("Server", 8000, "Port to listen on; 0 lets the system choose.", low=0, high=65535)
    data_dir: str = option(
        "Server",
        "/var/lib/findface-facenapi",
        "Folder for the embedded database, index snapshots and photos.",
        form=("the path of a folder", filled),
    )
    guide_dir: str = option(
        "Server",
        "/opt/facenapi/share/doc/facenapi/guide",
        "Folder of the built documentation, served at /docs/guide if it is there.",
    )
    shutdown_timeout: float = option(
        "Server", 20.0, "Seconds that requests in flight get to finish on SIGTERM.", low=0, high=3600
    )
    trusted_proxies: str = option(
        "Server",
        "127.0.0.0/8,::1",
        "Proxies whose X-Forwarded-For, -Proto, -Host and -Prefix are believed: addresses and networks.",
        form=("networks, such as 10.1.0.0/16,192.168.7.9", networks_of),
    )
    base_path: str = option(
        "Server",
        "",
        "Path below which clients find this server, such as /faces-api: what URLs and links to pages begin with.",
        form=("a path such as /faces-api", path_of),
        reload=True,
    )
    cors_origins: str = option(
        "Server",
        "",
        "Origins whose pages may use this server from a browser, or *; empty: none.",
        form=("origins, such as https://app.example.com,http://localhost:3000, or *", origins_of),
        reload=True,
    )
    console: bool = option("Server", True, "Whether browsers get the console at /; its data needs a token.")
    api_page: str = option(
        "Server",
        "",
        "Folder of the page at /docs/VERSION/try, which facenapi api-page fetches; empty: data_dir/api-page.",
    )
    # -- Limits ---------------------------------------------------------------------------------
    max_body_size: int = option(
        "Limits", 24 * 1024 * 1024, "Largest request body, in bytes.", low=1024, high=1 << 30, reload=True
    )
    max_requests: int = option(
        "Limits",
        256,
        "Requests in flight; one more is answered 503. The last quarter is for owners who have few.",
        low=1,
        high=100000,
        reload=True,
    )
    max_connections: int = option(
        "Limits",
        0,
        "Connections of clients at a time; one more is answered 503. 0: what the limit of open files leaves.",
        low=0,
        high=1000000,
    )
    max_body_memory: int = option(
        "Limits",
        512 * 1024 * 1024,
        "Bytes of request bodies in memory at a time; a request beyond is answered 503.",
        low=1 << 20,
        high=1 << 40,
        reload=True,
    )
    max_answer_memory: int = option(
        "Limits",
        256 * 1024 * 1024,
        "Bytes of answers that wait for clients to take them; a larger answer beyond is a 503.",
        low=1 << 20,
        high=1 << 40,
        reload=True,
    )
    rate_limit: float = option(
        "Limits",
        0.0,
        "Requests per second that one token may make on average, twice as many at once; more get 429. So do those "
        "without a good token from one address. 0: any.",
        low=0,
        high=1000000,
        reload=True,
    )
    max_decode_jobs: int = option(
        "Limits", 512, "Photos open or waiting for it; one more is answered 503.", low=1, high=100000, reload=True
    )
    open_photos: int = option(
        "Limits",
        0,
        "Photos of one owner that are decoded and in work at a time, and one more of others; bounds memory. "
        "0: two per thread, and two.",
        low=0,
        high=100000,
    )
    max_boxes: int = option(
        "Limits", 100, "Most boxes that a request may name on a photo.", low=1, high=1000, reload=True
    )
    max_faces: int = option(
        "Limits",
        300,
        "Most faces of a photo; of more, the largest are taken, and answers of all of them say so.",
        low=1,
        high=10000,
        reload=True,
    )
    max_galleries: int = option(
        "Limits", 100, "Most galleries that a face may be in, beside default.", low=1, high=1000, reload=True
    )
    body_timeout: float = option(
        "Limits", 60.0, "Seconds in which a request body must have arrived.", low=1, high=3600
    )
    idle_timeout: float = option(
        "Limits", 75.0, "Seconds after which a connection without a request is closed.", low=1, high=86400
    )
    head_timeout: float = option(
        "Limits", 20.0, "Seconds in which the head of a request must have arrived once it began.", low=1, high=3600
    )
    write_timeout: float = option(
        "Limits",
        60.0,
        "Seconds after which a client that does not read its answer is cut off: it must take 64 KB, or the rest.",
        low=1,
        high=3600,
    )
    # -- Photos ---------------------------------------------------------------------------------
    max_size: int = option("Photos", 6000, "Longest side of a photo, in pixels.", low=16, high=65535, reload=True)
    max_photo_bytes: int = option("Photos", 10 * 1024 * 1024, "Largest photo file, in bytes.", low=1024, high=1 << 30)
    decode_timeout: float = option(
        "Photos",
        10.0,
        "Seconds of processor time that decoding a photo may take, and six times as many in all; then it is ended.",
        low=0.1,
        high=600,
    )
    fetch_timeout: float = option(
        "Photos", 10.0, "Seconds in which a photo URL must have been fetched.", low=0.1, high=600
    )
    fetch_max_clients: int = option("Photos", 32, "Photos fetched at the same time.", low=1, high=10000)
    fetch_allow_private: bool = option(
        "Photos",
        False,
        "Whether photo URLs may point to private, loopback and "
        "link-local addresses. Leave it off unless every client is trusted.",
    )
    fetch_networks: str = option(
        "Photos",
        "",
        "Private networks that photo URLs may lead to all the same.",
        form=("networks, such as 10.1.0.0/16,192.168.7.9", networks_of),
    )
    fetch_hosts: str = option(
        "Photos",
        "",
        "The only hosts that photo URLs may name; empty: any.",
        form=("host names, such as photos.example.com,*.example.org", hosts_of),
    )
    fetch_ports: str = option(
        "Photos", "", "The only ports that photo URLs may name; empty: any.", form=("ports, such as 80,443", ports_of)
    )
    fetch_proxy: str = option(
        "Photos",
        "",
        "HTTP proxy for photo URLs, http://host:port; needs pip install 'facenapi[proxy]'. Names are then "
        "resolved by the proxy, which has to refuse private targets.",
        form=("a proxy without user and password, such as http://10.0.0.1:3128", proxy_of),
    )
    # -- Kept photos ----------------------------------------------------------------------------
    photo_storage: str = option(
        "Kept photos",
        "off",
        "Whether the photos of stored faces are kept, with a thumbnail and an upright portrait of each face: "
        "files, below data_dir, served under /uploads/; webdav, by PUT to ffupload_url.",
        choices=("off", "files", "webdav"),
    )
    ffupload_url: str = option(
        "Kept photos",
        "",
        "With photo_storage=webdav: the URL below which files are PUT, read and DELETEd; what it has of "
        "user:password@ goes to that server only.",
    )
    upload_path: str = option(
        "Kept photos",
        "",
        "What the URLs of kept photos begin with, if clients reach them elsewhere; empty: this server's address as "
        "the client used it and /uploads with files, ffupload_url with webdav.",
    )
    photo_access: str = option(
        "Kept photos",
        "link",
        "Who gets kept photos from this server: link, whoever has their link, which nobody can guess, so that pages "
        "can show them; token, their owner only.",
        choices=("link", "token"),
        reload=True,
    )
    # -- Storage --------------------------------------------------------------------------------
    store_sync: str = option(
        "Storage",
        "full",
        "What an acknowledged write survives in the embedded store: full, a power cut; normal, the death of "
        "the process only, but single writes are faster.",
        choices=("full", "normal"),
    )
    mongo_host: str = option(
        "Storage", "", "Host of MongoDB, or HOST:PORT,HOST:PORT,… Any mongo_ option chooses MongoDB."
    )
    mongo_port: int = option("Storage", 27017, "Port of MongoDB, for hosts without one.", low=1, high=65535)
    mongo_db: str = option("Storage", "facenapi", "Database in MongoDB.")
    mongo_uri: str = option(
        "Storage", "", "mongodb:// or mongodb+srv:// URI (credentials, TLS, replica set) instead of a host."
    )
    mongo_driver: str = option(
        "Storage", "pymongo", "Driver for MongoDB: PyMongo's own, or Motor.", choices=("pymongo", "motor")
    )
    mongo_pool_size: int = option("Storage", 64, "Connections to MongoDB, operations at a time.", low=2, high=1000)
    mongo_timeout: float = option(
        "Storage", 5.0, "Seconds to find a server, to connect, and to wait for a majority.", low=0.1, high=300
    )
    mongo_create_indexes: bool = option(
        "Storage", True, "Whether missing indexes are created at the start; otherwise they stop it."
    )
    # -- Detection ------------------------------------------------------------------------------
    model_pack: str = option("Detection", "", "Folder of the model pack; empty: data_dir/models/default.")
    device: str = option(
        "Detection",
        "auto",
        "Where the networks run. cuda and tensorrt refuse to start without a usable GPU; auto takes CUDA or falls "
        "back to the CPU with a warning. tensorrt builds engines in data_dir/tensorrt, which takes minutes at first.",
        choices=("auto", "cpu", "cuda", "tensorrt"),
    )
    threads: int = option("Detection", 0, "Threads for the networks; 0: one per core.", low=0, high=1024)
    detect_size: int = option(
        "Detection",
        1280,
        "Photos are reduced to this longer side to look for faces; boxes and crops keep original pixels.",
        low=160,
        high=8192,
    )
    nnd_min_face_size: int = option("Detection", 30, "Smallest face to find, in pixels.", low=12, high=65535)
    nnd_max_face_size: int = option("Detection", 0, "Largest face to find, in pixels; 0: any.", low=0, high=65535)
    nnd_p_net_thresh: float = option(
        "Detection",
        0.5,
        "Score that a candidate needs to pass MTCNN's first network; others ignore it.",
        low=0,
        high=1,
    )
    nnd_r_net_thresh: float = option("Detection", 0.5, "Score that it needs to pass MTCNN's second.", low=0, high=1)
    nnd_o_net_thresh: float = option("Detection", 0.9, "Score that MTCNN's faces need in the end.", low=0, high=1)
    nnd_scale_factor: float = option(
        "Detection", 0.79, "Step between the sizes at which MTCNN looks for faces.", low=0.3, high=0.95
    )
    detect_rotated: bool = option(
        "Detection",
        False,
        "Whether faces that lie on their side or head get the right points, 7 ms a face; a photo without faces is "
        "looked at again turned by 90, 180 and 270 degrees, which takes four times as long.",
    )
    gae: bool = option("Detection", False, "Whether gender, age and emotions are offered.")
    # -- Networks -------------------------------------------------------------------------------
    inference_queue: int = option(
        "Networks", 128, "Photos waiting for the networks; one more is answered 503.", low=1, high=100000
    )
    embedding_views: int = option(
        "Networks",
        2,
        "2 averages the vector of a face with that of its mirror image; 1 takes half the time and is less "
        "accurate. Vectors made with different values cannot be compared.",
        low=1,
        high=2,
    )
    embedding_precision: str = option(
        "Networks",
        "auto",
        "Whether networks that have an 8-bit copy (CenterFace, dlib's) run in 8 bits: 1.5 to 3 times as fast on a "
        "CPU with VNNI, wrong without. auto does so where the processor has VNNI. On a GPU always fp32.",
        choices=("auto", "fp32", "int8"),
    )
    attribute_views: int = option(
        "Networks", 4, "Views of a face averaged for age, gender and emotions: 1, 2 or 4.", low=1, high=4
    )
    gpu_memory: int = option(
        "Networks", 0, "Most GPU memory that each network may take, in MiB; 0: no limit.", low=0, high=1 << 20
    )
    # -- Quality --------------------------------------------------------------------------------
    min_quality: float = option(
        "Quality",
        0.0,
        "Least quality, 0 to 1, of each face that POST /face stores: a photo with a worse one is refused. 0: any. "
        "It applies to each part of the quality, and the options below to one of them more strictly.",
        low=0,
        high=1,
        reload=True,
    )
    min_enrol_size: int = option(
        "Quality",
        0,
        "Smallest face that POST /face stores, in pixels of the longer side of its box.",
        low=0,
        high=65535,
        reload=True,
    )
    min_sharpness: float = option(
        "Quality", 0.0, "Least sharpness of a face that POST /face stores; low: blurred.", low=0, high=1, reload=True
    )
    min_exposure: float = option(
        "Quality", 0.0, "Least exposure; low: dark, glaring or without contrast.", low=0, high=1, reload=True
    )
    min_pose: float = option("Quality", 0.0, "Least pose; low: turned away.", low=0, high=1, reload=True)
    # -- Search ---------------------------------------------------------------------------------
    tntapi_servers_file: str = option(
        "Search",
        "",
        "Table of search shards, JSON: one row of 1024 addresses, one for each cell. "
        "Empty: faces are searched for in this process.",
    )
    tntapi_connect_timeout: float = option(
        "Search", 1.0, "Seconds that a search shard may take to accept a connection.", low=0.01, high=60
    )
    tntapi_request_timeout: float = option(
        "Search", 5.0, "Seconds that a search shard may take to answer.", low=0.05, high=600
    )
    tntapi_max_clients: int = option("Search", 100, "Connections to each search shard at once.", low=1, high=10000)
    shard_address: str = option(
        "Search", "127.0.0.1:33001", "Of `facenapi shard`: its address in the table; it listens there."
    )
    shard_secret: str = option(
        "Search",
        "",
        "Secret that API servers and shards share. Without one a shard listens on loopback addresses only.",
    )
    shard_secret_file: str = option("Search", "", "File that holds the secret, instead of shard_secret.")
    milvus_uri: str = option(
        "Search",
        "",
        "http:// or https:// URI of a Milvus to search in, instead of shards of our own; needs "
        "pip install 'facenapi[milvus]'. tntapi_request_timeout and tntapi_max_clients hold for it, too.",
    )
    milvus_token: str = option("Search", "", "What Milvus asks for: user:password, or a key.")
    milvus_db: str = option(
        "Search", "", "Database in Milvus, of this installation alone; it must exist. Empty: Milvus's default."
    )
    tntapi_ignore_search_errors: bool = option(
        "Search",
        False,
        "What identify does when a search shard is down: "
        "False answers 503, True searches the live ones. The request's "
        "strict overrides it.",
        reload=True,
    )
    max_identify_limit: int = option(
        "Search",
        0,
        "Most faces that identify returns per face; 0: as many as an answer holds, 10,000 in all.",
        low=0,
        high=1000000,
        reload=True,
    )
    # -- Persons --------------------------------------------------------------------------------
    person_identify: bool = option("Persons", False, "Whether new faces are assigned to persons.", reload=True)
    person_identify_global: bool = option(
        "Persons",
        False,
        "Search persons among all faces of the owner, not only those of the same camera.",
        reload=True,
    )
    person_identify_threshold: float = option(
        "Persons", 0.75, "Confidence at which a face belongs to a person.", low=0, high=1, reload=True
    )
    friend_count: int = option(
        "Persons", 5, "Distinct UTC days of sightings that make a person a friend.", low=1, high=100000, reload=True
    )
    friend_interval: int = option(
        "Persons", 604800, "Seconds back in which they are counted.", low=1, high=10**10, reload=True
    )
    id_generator: str = option("Persons", "tntime", "How face ids are made.", choices=("tntime",))
    # -- Logging --------------------------------------------------------------------------------
    logging: str = option(
        "Logging",
        "info",
        "What is logged; none leaves logging alone.",
        choices=("debug", "info", "warning", "error", "none"),
        reload=True,
    )
    log_format: str = option("Logging", "text", "Lines for people, or a JSON object each.", choices=("text", "json"))
    log_to_stderr: bool = option("Logging", True, "Log to standard error (journald).")
    log_file_prefix: str = option(
        "Logging",
        "",
        "Log to this file as well; servers and shards may share it. Its folder must be writable, to rotate it.",
    )
    log_file_max_size: int = option(
        "Logging", 100_000_000, "Size at which the log file is rotated, in bytes.", low=1024
    )
    # A rotation by size looks for each of them.
    log_file_num_backups: int = option("Logging", 10, "Rotated log files that are kept; 0: none.", low=0, high=100000)
    log_rotate_mode: str = option("Logging", "size", "Rotate by size or by time.", choices=("size", "time"))
    log_rotate_when: str = option(
        "Logging",
        "midnight",
        "With log_rotate_mode=time: the unit.",
        choices=("S", "M", "H", "D", "W0", "W1", "W2", "W3", "W4", "W5", "W6", "midnight"),
    )
    log_rotate_interval: int = option("Logging", 1, "With log_rotate_mode=time: units between rotations.", low=1)
    # Not options: the names that were set, where each was set last, and the file that was read.
    given: frozenset[str] = frozenset()
    sources: dict[str, str] = field(default_factory=dict, compare=False)
    file: str = field(default="", compare=False)

    def adopt(self, other: Config) -> tuple[list[str], list[str]]:
        """Take over what can change while the server runs.

        Returns the names of the options that changed, and of those that differ but need a restart.
        """
        differing = [name for name in TABLE if getattr(self, name) != getattr(other, name)]
        changed = [name for name in differing if TABLE[name].metadata["reload"]]
        for name in changed:
            setattr(self, name, getattr(other, name))
        return changed, [name for name in differing if name not in changed]

    @property
    def pack_folder(self) -> Path:
        """The folder of the model pack."""
        return Path(self.model_pack) if self.model_pack else Path(self.data_dir) / "models" / "default"

    @property
    def api_page_folder(self) -> Path:
        """The folder of the interactive API page."""
        return Path(self.api_page) if self.api_page else Path(self.data_dir) / "api-page"

    @property
    def engine_cache(self) -> str:
        """The folder of the engines that TensorRT builds."""
        return str(Path(self.data_dir) / "tensorrt")


TABLE = {f.name: f for f in fields(Config) if "help" in f.metadata}
