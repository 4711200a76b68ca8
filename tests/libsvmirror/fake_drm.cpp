// SPDX-License-Identifier: GPL-2.0-only
/* The fake render node. See fake_drm.hpp. */
#include "fake_drm.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>

namespace fake
{

static std::map<std::string, node> all;
static std::map<unsigned long, handler> handlers;
static unsigned interrupts;
static bool no_folder;

/* Of what is open, by descriptor. Made when it is first asked for: close() is called before this file's own objects are. */
static std::map<int, std::string> &drivers()
{
	static auto *of = new std::map<int, std::string>;

	return *of;
}

/* What readdir() gives for the folder of nodes. */
static std::vector<std::string> listing;
static dirent current;
static char folder; /* its address stands for the DIR */

std::map<std::string, node> &nodes()
{
	return all;
}

void without_folder(bool yes)
{
	no_folder = yes;
}

void on_request(unsigned long request, handler fn)
{
	handlers[request] = std::move(fn);
}

void interrupt(unsigned times)
{
	interrupts = times;
}

unsigned open_count()
{
	return unsigned(drivers().size());
}

void reset()
{
	all = {{"renderD128", {.driver = "svgpu"}}};
	handlers.clear();
	interrupts = 0;
	no_folder = false;
}

static int failed(int err)
{
	errno = err;
	return err ? -1 : 0;
}

/* libdrm asks for the lengths first, and then for the texts; it cannot do with an empty one. */
static int version(const std::string &driver, drm_version &v)
{
	if (v.name && v.name_len >= driver.size())
		std::memcpy(v.name, driver.data(), driver.size());
	for (char *text : {v.date, v.desc})
		if (text)
			*text = '0';
	v.name_len = driver.size();
	v.date_len = v.desc_len = 1;
	return 0;
}

static int request(int fd, unsigned long number, void *arg)
{
	if (interrupts) {
		interrupts--;
		return failed(EINTR);
	}
	if (number == DRM_IOCTL_VERSION)
		return version(drivers()[fd], *static_cast<drm_version *>(arg));

	auto it = handlers.find(number);

	return failed(it == handlers.end() ? ENOTTY : it->second(arg));
}

static int open_path(const std::string &path)
{
	static const std::string home = "/dev/dri/";
	auto it = path.starts_with(home) ? all.find(path.substr(home.size())) : all.end();

	if (it == all.end())
		return failed(ENOENT);
	if (it->second.open_error)
		return failed(it->second.open_error);

	int fd = memfd_create(path.c_str(), MFD_CLOEXEC);

	drivers()[fd] = it->second.driver;
	return fd;
}

template <typename Fn>
static Fn libc(const char *name)
{
	return reinterpret_cast<Fn>(dlsym(RTLD_NEXT, name));
}

} // namespace fake

extern "C" {

int open(const char *path, int flags, ...)
{
	va_list more;

	va_start(more, flags);
	unsigned mode = flags & O_CREAT ? va_arg(more, unsigned) : 0;
	va_end(more);
	if (std::strncmp(path, "/dev/dri", 8) == 0)
		return fake::open_path(path);
	return fake::libc<int (*)(const char *, int, ...)>("open")(path, flags, mode);
}

int ioctl(int fd, unsigned long number, ...)
{
	va_list more;

	va_start(more, number);
	void *arg = va_arg(more, void *);
	va_end(more);
	if (fake::drivers().count(fd))
		return fake::request(fd, number, arg);
	return fake::libc<int (*)(int, unsigned long, ...)>("ioctl")(fd, number, arg);
}

int close(int fd)
{
	fake::drivers().erase(fd);
	return fake::libc<int (*)(int)>("close")(fd);
}

DIR *opendir(const char *path)
{
	if (std::strcmp(path, "/dev/dri") != 0)
		return fake::libc<DIR *(*)(const char *)>("opendir")(path);
	if (fake::no_folder) {
		errno = ENOENT;
		return nullptr;
	}
	fake::listing = {".", "..", "card0"};
	for (const auto &[name, node] : fake::all)
		fake::listing.push_back(name);
	return reinterpret_cast<DIR *>(&fake::folder);
}

dirent *readdir(DIR *dir)
{
	if (dir != reinterpret_cast<DIR *>(&fake::folder))
		return fake::libc<dirent *(*)(DIR *)>("readdir")(dir);
	if (fake::listing.empty())
		return nullptr;
	std::strncpy(fake::current.d_name, fake::listing.front().c_str(), sizeof(fake::current.d_name) - 1);
	fake::listing.erase(fake::listing.begin());
	return &fake::current;
}

int closedir(DIR *dir)
{
	if (dir != reinterpret_cast<DIR *>(&fake::folder))
		return fake::libc<int (*)(DIR *)>("closedir")(dir);
	return 0;
}

} // extern "C"
