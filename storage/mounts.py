"""Says whether a file lies on a file system that other machines share."""

from pathlib import Path

MOUNTS = Path("/proc/mounts")
_SHARED = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "wekafs",
    ]
)


def find_shared_file_system(path: Path, *, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of network or shared file system that a path lies on, or None.

    SQLite's locks and its WAL mode cannot be trusted on these. The path need not exist. Without
    a list of mounts, as on macOS, nothing is found.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = path.absolute().resolve()
    kinds = {}
    for line in lines:
        _, where, kind, *_ = line.split(" ")
        kinds[Path(where.encode().decode("unicode_escape"))] = kind  # a space is written \040
    for folder in (place, *place.parents):
        if folder in kinds:  # the nearest mount above the path; of several there, the last
            return kinds[folder] if kinds[folder] in _SHARED else None
    return None
