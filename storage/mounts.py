"""Finds out whether a file lies on another machine, where SQLite's locks are not to be trusted."""

from pathlib import Path

_MOUNTS = Path("/proc/mounts")
_NETWORK = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fhgfs", "gfs2", "glusterfs", "gpfs"),
    *("lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb"),
    *("smb2", "smb3", "smbfs", "vboxsf", "wekafs"),
}
_NETWORK_FUSE = {
    *("blobfuse", "blobfuse2", "ceph-fuse", "cvmfs2", "davfs2", "gcsfuse", "glusterfs", "goofys"),
    *("juicefs", "mount-s3", "mountpoint-s3", "rclone", "s3fs", "seaweedfs", "sshfs"),
}


def find_network_file_system(path: Path, *, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of the network file system that a path lies on; None if on none, or unknown.

    Only Linux says: elsewhere there is no list of mounts to read.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    here = path.resolve()
    kind, depth = "", -1
    for line in lines:
        words = line.split(" ")
        if len(words) < 3:
            continue
        place = Path(_unescape(words[1]))
        # Of several mounts on one place the last one is seen.
        if (here == place or place in here.parents) and len(place.parts) >= depth:
            kind, depth = words[2], len(place.parts)
    prefix, _, helper = kind.partition(".")
    if kind in _NETWORK or (prefix == "fuse" and helper in _NETWORK_FUSE):
        return kind
    return None


def _unescape(word: str) -> str:
    """Return a path as it is: blanks and backslashes stand there in octal."""
    for text, octal in ((" ", "040"), ("\t", "011"), ("\n", "012"), ("\\", "134")):
        word = word.replace(f"\\{octal}", text)
    return word
