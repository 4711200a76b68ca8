# SPDX-License-Identifier: GPL-2.0-only
"""The distribution's own kernel: its prebuilt packages, unpacked into the cache and booted as they are.

Four packages make a tree: the image, the headers, their common part and the tools that build modules. Nothing is
installed and nothing is compiled. This kernel has its disk driver and its filesystem as modules, so it boots by an
initramfs that loads them (tools/vm/guest/initramfs); the guest's disk holds the modules of DRIVERS, and the kernel
asks /sbin/modprobe for those that it wants by itself.
"""

import gzip
import lzma
import pathlib
import re
import shutil
import subprocess

from . import say
from .say import Failed

# What a driver's tree needs; the image and the headers name the others by their dependencies.
PARTS = r"(linux-(?:image|headers|kbuild)-\S+)"
# In the order in which the initramfs loads them, with what they depend on.
BOOT = ("virtio_pci", "virtio_blk", "ext4")
# Loaded before our modules: DRM for svgpu; zram, loop and FUSE, which the lanes' own kernels have built in; persistent
# memory (memmap=SIZE!START on the command line) for DAX; the injection of bad pages; vgem for fences that are not svgpu's.
DRIVERS = ("drm", "zram", "loop", "fuse", "nd_e820", "nd_pmem", "hwpoison-inject", "vgem")
UNPACKERS = {".xz": lzma.open, ".gz": gzip.open}


def packages(suite, meta, version):
	"""{package: version} of all that is unpacked: the image's metapackage names the release."""
	release = suite.depends(meta, version, r"linux-image-(\S+)")
	if not release:
		raise Failed(f"{meta} {version} names no kernel image")
	wanted, todo = {}, [f"linux-image-{release[0]}", f"linux-headers-{release[0]}"]
	while todo:
		name = todo.pop()
		if name not in wanted:
			wanted[name] = suite.version(name)
			todo += suite.depends(name, wanted[name], PARTS)
	return wanted


def unpack(suite, meta, version, tree, log):
	"""Fetch the packages and unpack them into tree, ready to build modules against and to boot."""
	for name, of in packages(suite, meta, version).items():
		deb = suite.download(name, of, tree / "deb")
		say.run(f"unpacking {deb.name}", ["dpkg-deb", "-x", str(deb), str(tree)], log, append=True)
	shutil.rmtree(tree / "deb")


def finish(tree, place):
	"""What the installation of the packages would do to a tree that will lie at place: the headers' path to their common
	part, and the modules' dependencies."""
	release, _ = image(tree)
	makefile = _headers(tree, release) / "Makefile"
	makefile.write_text(re.sub(r"^include /usr/src/", f"include {place}/usr/src/", makefile.read_text(), flags=re.M))
	if not (tree / "lib").exists():     # a distribution whose packages know only /usr/lib
		(tree / "lib").symlink_to("usr/lib")
	kmod("depmod", "-b", str(tree), release)


def kmod(program, *arguments):
	"""Output of depmod or modprobe, which lie in sbin."""
	path = shutil.which(program) or f"/sbin/{program}"
	try:
		ended = subprocess.run([path, *arguments], capture_output=True, text=True)
	except OSError as error:
		raise Failed(f"{program}: {error}; run tools/vm/setup") from error
	if ended.returncode:
		raise Failed(f"{program} {' '.join(arguments)}:\n{ended.stderr}")
	return ended.stdout


def image(tree):
	"""(release, path of the kernel image) of an unpacked tree."""
	images = sorted((tree / "boot").glob("vmlinuz-*"))
	if len(images) != 1:
		raise Failed(f"{tree} holds {len(images)} kernel images")
	return images[0].name.removeprefix("vmlinuz-"), images[0]


def _headers(tree, release):
	return tree / "usr" / "src" / f"linux-headers-{release}"


def _require_compiler(headers):
	"""The headers name the C compiler that built the kernel; the C++ compiler of the same version builds the core."""
	kept = headers / ".kernelvariables"
	named = re.search(r"^CC = .*?([\w.-]*gcc(?:-[\d.]+)?)$", kept.read_text() if kept.exists() else "", re.M)
	name = named.group(1) if named else "gcc"
	for program in (name, name.replace("gcc", "g++")):
		if not shutil.which(program):
			raise Failed(f"this kernel's modules are built with {program}, which is missing here: "
				f"apt-get install {program.rpartition('gnu-')[2]}")


def headers(tree):
	"""KDIR of an unpacked tree, or Failed if its compiler is missing."""
	found = _headers(tree, image(tree)[0])
	_require_compiler(found)
	return found


def needed(tree, release, names):
	"""Paths of the modules that these need, dependencies first; what is built in needs none."""
	paths = []
	for name in names:
		for line in kmod("modprobe", "-D", "-d", str(tree), "-S", release, name).splitlines():
			what, _, path = line.strip().partition(" ")
			if what == "insmod":
				paths.append(pathlib.Path(path.split()[0]))
	return list(dict.fromkeys(paths))


def copy(path, target):
	"""A module, unpacked: the guest's tools need not know how it was packed. Returns where it is."""
	opener = UNPACKERS.get(path.suffix)
	target = target.with_suffix("") if opener else target
	target.parent.mkdir(parents=True, exist_ok=True)
	with (opener or open)(path, "rb") as packed, open(target, "wb") as plain:
		shutil.copyfileobj(packed, plain)
	return target


def install(kernel, root):
	"""Put the modules of DRIVERS into a guest's root, with the lists by which modprobe finds them."""
	home = pathlib.Path("lib", "modules", kernel.release)
	for path in needed(kernel.packages, kernel.release, DRIVERS):
		copy(path, root / home / str(path).partition(f"/{home}/")[2])
	for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
		shutil.copy2(kernel.packages / home / name, root / home / name)
	kmod("depmod", "-b", str(root), kernel.release)


def initramfs(kernel, folder, busybox, script):
	"""A cpio archive of busybox, the modules of BOOT and the script that loads them and goes on to the disk."""
	root = folder / "initramfs"
	shutil.rmtree(root, ignore_errors=True)
	for name in ("bin", "dev", "disk", "modules"):
		(root / name).mkdir(parents=True)
	shutil.copy2(busybox, root / "bin" / "busybox")
	shutil.copy2(script, root / "init")
	(root / "init").chmod(0o755)
	order = [copy(path, root / "modules" / path.name).name for path in needed(kernel.packages, kernel.release, BOOT)]
	(root / "modules" / "order").write_text("".join(f"{name}\n" for name in order))
	archive = folder / "initramfs.cpio"
	names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
	with open(archive, "wb") as sink:
		ended = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], input=names.encode(), stdout=sink,
			stderr=subprocess.PIPE, cwd=root)
	shutil.rmtree(root)
	if ended.returncode:
		raise Failed(f"cpio: {ended.stderr.decode(errors='replace')}")
	return archive
