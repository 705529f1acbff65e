"""SQLite is for one machine: others are refused, and network file systems are noted."""

import socket

import pytest

from archloss.storage import leases, sqlite
from archloss.storage.database import Database
from archloss.storage.errors import StorageError
from archloss.storage.mounts import find_network_file_system

MOUNTS = r"""
/dev/root / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
/dev/disk /home/local xfs rw 0 0
//server/share /media/my\040share cifs rw 0 0
me@host: /mnt/remote fuse.sshfs rw 0 0
/dev/stick /mnt/stick fuseblk rw 0 0
lustre /scratch lustre rw 0 0
/dev/over /scratch ext4 rw 0 0
short line
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/studies/a.db", None),
        ("/home/me/a.db", "nfs4"),
        ("/home/local/me/a.db", None),
        ("/homeless/a.db", None),
        ("/media/my share/a.db", "cifs"),
        ("/mnt/remote/a.db", "fuse.sshfs"),
        ("/mnt/stick/a.db", None),
        ("/scratch/a.db", None),
    ],
)
def test_a_network_file_system_is_found_by_the_nearest_mount(tmp_path, path, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert find_network_file_system(type(tmp_path)(path), mounts=mounts) == kind


def test_where_nothing_lists_mounts_nothing_is_found(tmp_path):
    assert find_network_file_system(tmp_path, mounts=tmp_path / "none") is None


def test_a_network_file_system_is_noted_with_the_way_out(url, monkeypatch):
    monkeypatch.setattr(sqlite, "find_network_file_system", lambda _: "nfs4")
    database = Database(url)
    (note,) = database.notes
    assert "network file system (nfs4)" in note
    assert "--storage postgresql://" in note
    database.close()


def move_lease(bench, **columns):
    """Make the bench's lease one of another machine."""
    columns = {"host": "other-machine pid:[1]", "kernel": "another", **columns}
    settings = ", ".join(f"{name} = '{value}'" for name, value in columns.items())
    bench.execute(f"UPDATE archloss_leases SET {settings}, process_started_s = 1")


def test_sqlite_refuses_a_second_machine_while_the_first_lives(quick_bench):
    move_lease(quick_bench)
    with pytest.raises(StorageError, match=r"'other-machine' is working.*Use PostgreSQL"):
        quick_bench.database.open_lease(quick_bench.study_id)
    assert quick_bench.database.count_leases(quick_bench.study_id) == 1
    quick_bench.execute("UPDATE archloss_leases SET renewed_s = renewed_s - 61")
    quick_bench.database.open_lease(quick_bench.study_id)


def test_sqlite_refuses_a_second_machine_on_another_study_too(quick_bench):
    move_lease(quick_bench)
    other = quick_bench.database.create_study(
        name="other", spec="{}", digest="d", fingerprint="f", environment={}
    )
    with pytest.raises(StorageError, match="SQLite cannot be shared between machines"):
        quick_bench.database.open_lease(other.study_id)


def test_sqlite_lets_in_another_container_of_this_machine(quick_bench):
    move_lease(quick_bench, kernel=leases.name_kernel())
    quick_bench.database.open_lease(quick_bench.study_id)


def test_where_kernels_have_no_name_hosts_tell_machines_apart(quick_bench, monkeypatch):
    monkeypatch.setattr(leases, "name_kernel", lambda: "")
    move_lease(quick_bench, host=f"{socket.gethostname()} pid:[1]", kernel="")
    quick_bench.database.open_lease(quick_bench.study_id)
    move_lease(quick_bench, kernel="")
    with pytest.raises(StorageError, match="other-machine"):
        quick_bench.database.open_lease(quick_bench.study_id)


def test_postgresql_lets_machines_work_together(postgres_bench):
    move_lease(postgres_bench)
    postgres_bench.database.open_lease(postgres_bench.study_id)
    hosts = [d.host for d in postgres_bench.database.list_drivers(postgres_bench.study_id)]
    assert hosts == ["other-machine", socket.gethostname()]
