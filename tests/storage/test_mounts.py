"""Which file system a path lies on."""

from pathlib import Path

import pytest

from archloss.storage.mounts import find_network_file_system

MOUNTS = r"""/dev/root / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
server:/old /data ext4 rw 0 0
//server/share /data cifs rw 0 0
user@host: /my\040files fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/studies.db", None),
        ("/home/ada/studies.db", "nfs4"),
        ("/home/local/studies.db", None),
        ("/homes/studies.db", None),
        ("/data/studies.db", "cifs"),
        ("/my files/studies.db", "fuse.sshfs"),
    ],
)
def test_the_nearest_mount_says_whether_a_path_is_shared(tmp_path, path, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS, encoding="utf-8")
    assert find_network_file_system(Path(path), mounts=mounts) == kind


def test_without_a_list_of_mounts_nothing_is_found(tmp_path):
    assert find_network_file_system(tmp_path / "studies.db", mounts=tmp_path / "none") is None
