// SPDX-License-Identifier: GPL-2.0-only
// svgpud: the virtual GPU as a process that plays a PCI device to QEMU. This file is its command line.
#include "descriptor.hpp"
#include "model/formats.hpp"
#include "supervisor.hpp"

#include <CLI/CLI.hpp>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace {

constexpr std::uint64_t mib = 1024 * 1024;
// Above this, q35 moves RAM beyond the PCI hole, and a guest physical address is no longer the offset in the file.
constexpr std::uint64_t ram_limit = 2816 * mib;
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t bar_mib_limit = 65536;

struct command_line {
	std::string socket;
	std::string ram;
	std::uint64_t ram_bytes = 0;
	std::uint64_t vram_mib = 64;
	unsigned engines = 4;
	std::string log_file;
	bool duplicate_faults = false;
	std::string mmu = "xe2";
	std::string mmu_file;
	std::string evil;
	std::string evil_file;
};

std::string check_ram_size(const std::string &text)
{
	std::uint64_t bytes;

	if (!CLI::detail::lexical_cast(text, bytes))
		return "not a number of bytes: " + text;
	if (!bytes || bytes % page)
		return "must be a multiple of 4096, not " + text;
	if (bytes >= ram_limit)
		return "must be less than 2816 MiB, where guest addresses are no longer offsets in the file";
	return {};
}

std::string check_bar_size(const std::string &text)
{
	std::uint64_t size;

	if (!CLI::detail::lexical_cast(text, size))
		return "not a number of MiB: " + text;
	if (size < 2 || size > bar_mib_limit || !std::has_single_bit(size))
		return "must be a power of two from 2 to 65536 (MiB), not " + text;
	return {};
}

template <class Parse> std::string check(Parse parse, const std::string &text)
{
	try {
		parse(text);
	} catch (const std::invalid_argument &e) {
		return e.what();
	}
	return {};
}

std::string check_evil(const std::string &text) { return check(svgpu::parse_evil, text); }
std::string check_format(const std::string &text) { return check(svgpu::parse_format, text); }

void declare(CLI::App &app, command_line &line)
{
	app.add_option("--socket", line.socket, "UNIX socket that QEMU connects to")->required();
	app.add_option("--ram", line.ram, "file behind the guest's memory; may appear later")->required();
	app.add_option("--ram-size", line.ram_bytes, "bytes of it")
		->required()
		->check(CLI::Validator(check_ram_size, "BYTES"));
	app.add_option("--vram-mib", line.vram_mib, "size of the BAR in MiB, registers (1 MiB) included")
		->capture_default_str()
		->check(CLI::Validator(check_bar_size, "MIB"));
	app.add_option("--engines", line.engines, "jobs that run at the same time")
		->capture_default_str()
		->check(CLI::Range(1u, 64u));
	app.add_option("--log", line.log_file, "append the log here instead of stderr");
	app.add_flag("--duplicate-faults", line.duplicate_faults, "report every fault twice, under two ids");
	app.add_option("--mmu", line.mmu, "the format of its page tables")
		->capture_default_str()
		->check(CLI::Validator(check_format, "NAME"));
	app.add_option("--mmu-file", line.mmu_file,
		       "read what --mmu takes from this file whenever the device starts; empty or not there: --mmu");
	auto *evil = app.add_option("--evil", line.evil,
				    "lie, as SEED decides: every lie that a driver can be asked to bear, or those named")
			     ->check(CLI::Validator(check_evil, "SEED[:LIE,...]"));
	app.add_option("--evil-file", line.evil_file,
		       "read what --evil takes from this file whenever the device starts; empty or not there: no lies")
		->excludes(evil);
}

svgpu::descriptor open_log(const std::string &file)
{
	int fd = file.empty() ? ::dup(STDERR_FILENO)
			      : ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		throw std::runtime_error("cannot open log " + file + ": " + std::strerror(errno));
	return svgpu::descriptor(fd);
}

bool run(const command_line &line)
{
	svgpu::descriptor log_file = open_log(line.log_file);
	svgpu::log log(log_file.get());
	svgpu::worker_options worker = { .ram = line.ram,
					 .ram_bytes = line.ram_bytes,
					 .bar_bytes = line.vram_mib * mib };

	worker.device.engines = line.engines;
	worker.device.duplicate_faults = line.duplicate_faults;
	worker.device.format = svgpu::parse_format(line.mmu);
	worker.mmu_file = line.mmu_file;
	worker.evil_file = line.evil_file;
	if (!line.evil.empty()) {
		worker.device.evil = svgpu::parse_evil(line.evil);
		fmt::print("svgpud: lies, --evil {}\n", worker.device.evil.describe());
	}

	svgpu::supervisor supervisor(line.socket, std::move(worker), log);

	fmt::print("svgpud: listening\n");
	std::fflush(stdout);
	return supervisor.run();
}

} // namespace

int main(int argc, char **argv)
{
	CLI::App app("The virtual GPU, as an ivshmem-doorbell device of QEMU", "svgpud");
	command_line line;

	declare(app, line);
	CLI11_PARSE(app, argc, argv);
	try {
		if (!run(line)) {
			fmt::print(stderr, "svgpud: the device was broken, see its log for VIOLATION\n");
			return 3;
		}
	} catch (const std::exception &e) {
		fmt::print(stderr, "svgpud: {}\n", e.what());
		return 1;
	}
	return 0;
}
