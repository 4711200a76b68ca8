// SPDX-License-Identifier: GPL-2.0-only
// Mapping shared files.
#include "shared_memory.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>

namespace svgpu {
namespace {

[[noreturn]] void fail(const std::string &what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

mapping::mapping(const descriptor &file, std::size_t bytes)
{
	void *at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);

	if (at == MAP_FAILED)
		fail("cannot map shared memory");
	bytes_ = { static_cast<std::byte *>(at), bytes };
}

mapping::~mapping()
{
	::munmap(bytes_.data(), bytes_.size());
}

descriptor create_memory(const char *name, std::size_t bytes)
{
	descriptor file(::memfd_create(name, MFD_CLOEXEC));

	if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)))
		fail("cannot create shared memory");
	return file;
}

descriptor open_when_ready(const std::filesystem::path &path, std::size_t bytes)
{
	descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
	struct stat status;

	if (!file) {
		if (errno == ENOENT)
			return {};
		fail("cannot open " + path.string());
	}
	if (::fstat(file.get(), &status))
		fail("cannot look at " + path.string());
	if (static_cast<std::size_t>(status.st_size) < bytes)
		return {};
	return file;
}

} // namespace svgpu
