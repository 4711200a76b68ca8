// SPDX-License-Identifier: GPL-2.0-only
// The names of the lies, how often each is told, and what garbage looks like.
#include "model/evil.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace svgpu {
namespace {

struct habit {
	const char *name;
	// One message in so many: among all lies, where those that end everything leave time to the others; and asked for
	// by name.
	unsigned among_all;
	unsigned by_name;
};

constexpr std::array<habit, lies> habits = { {
	{ "malformed", 4, 2 },
	{ "duplicate", 4, 2 },
	{ "reorder", 6, 2 },
	{ "late", 8, 2 },
	{ "index", 96, 3 },
	{ "interrupt", 3, 1 },
	{ "lost-interrupt", 6, 2 },
	{ "reply", 24, 3 },
	{ "late-ack", 12, 2 },
	{ "no-ack", 40, 1 },
	{ "wild-ack", 40, 1 },
	{ "epoch", 40, 1 },
	{ "generation", 40, 1 },
	{ "heart", 64, 4 },
	{ "die", 96, 3 },
	{ "bad-invalidate", 40, 1 },
	{ "bad-clear", 12, 1 },
	{ "bad-queue-clear", 12, 1 },
	{ "false-ack", 0, 1 },
	{ "other-format", 0, 1 },
} };

constexpr std::uint32_t all_lies = (1u << static_cast<unsigned>(lie::false_ack)) - 1;

// splitmix64's finaliser: neighbouring inputs give unrelated outputs.
std::uint64_t mixed(std::uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

std::uint64_t draw(std::uint64_t seed, unsigned topic, stream where, std::uint64_t message)
{
	return mixed(mixed(mixed(seed) ^ (topic << 8 | static_cast<unsigned>(where))) ^ message);
}

constexpr unsigned topic_word = 0x1000; // beyond all lies

std::string all_names()
{
	std::string text;

	for (const habit &h : habits)
		text += std::string(text.empty() ? "" : ", ") + h.name;
	return text;
}

std::uint32_t bit_of(const std::string &name)
{
	for (unsigned i = 0; i < lies; ++i) {
		if (name == habits[i].name)
			return 1u << i;
	}
	throw std::invalid_argument(fmt::format("unknown lie '{}'; there are: {}", name, all_names()));
}

} // namespace

std::string evil_plan::describe() const
{
	std::string text = fmt::format("{}", seed);

	if (told == all_lies)
		return text;
	for (unsigned i = 0; i < lies; ++i) {
		if (told >> i & 1)
			text += std::string(text.find(':') == text.npos ? ":" : ",") + habits[i].name;
	}
	return text;
}

evil_plan parse_evil(const std::string &text)
{
	std::size_t colon = text.find(':');
	std::string seed = text.substr(0, colon);
	evil_plan plan;
	auto [end, error] = std::from_chars(seed.data(), seed.data() + seed.size(), plan.seed);

	if (error != std::errc() || end != seed.data() + seed.size())
		throw std::invalid_argument(fmt::format("seed '{}' is no number from 0 to 2^64 - 1", seed));
	if (colon == text.npos) {
		plan.told = all_lies;
		return plan;
	}
	for (std::size_t at = colon; at != text.npos;) {
		std::size_t next = text.find(',', at + 1);

		plan.told |= bit_of(text.substr(at + 1, next == text.npos ? next : next - at - 1));
		at = next;
	}
	return plan;
}

bool liar::mixed() const
{
	return plan_.told == all_lies;
}

bool liar::tells(lie what, stream where, std::uint64_t message) const
{
	unsigned number = static_cast<unsigned>(what);

	if (!plan_.has(what) || (where == stream::sync && !trusted_.load(std::memory_order_relaxed)))
		return false;

	unsigned period = mixed() ? habits[number].among_all : habits[number].by_name;

	return draw(plan_.seed, number, where, message) % period == 0;
}

std::uint64_t liar::word(stream where, std::uint64_t message, unsigned which) const
{
	return draw(plan_.seed, topic_word + which, where, message);
}

svgpu_fault garbage(const liar &l, std::uint64_t message, const svgpu_fault &truth)
{
	svgpu_fault f = truth;
	auto word = [&](unsigned which) { return l.word(stream::fault, message, which); };

	// Nobody waits for this id, unless by accident, and then one more answer is wrong.
	f.id = static_cast<std::uint32_t>(word(0)) | 0x80000000;
	switch (word(1) % 6) {
	case 0:
		f.context = static_cast<std::uint32_t>(word(2));
		break;
	case 1:
		f.queue = static_cast<std::uint32_t>(word(2));
		break;
	case 2:
		f.access = static_cast<std::uint32_t>(word(2));
		break;
	case 3: // anything: kernel addresses, beyond the format, neighbours
		f.va = word(2) >> word(3) % 40;
		break;
	case 4: // somebody else's, if that exists
		f.context = word(2) % 4;
		f.queue = word(3) % 4;
		f.cookie = word(4) << 32 | word(5) % 4;
		break;
	default:
		f = { .va = word(2), .cookie = word(3), .id = static_cast<std::uint32_t>(word(4)) | 0x80000000,
		      .context = static_cast<std::uint32_t>(word(5)), .queue = static_cast<std::uint32_t>(word(6)),
		      .access = static_cast<std::uint32_t>(word(9)) };
	}
	return f;
}

svgpu_done garbage(const liar &l, std::uint64_t message, const svgpu_done &truth)
{
	svgpu_done d = truth;
	auto word = [&](unsigned which) { return l.word(stream::done, message, which); };

	// A job of this queue that was never begun, or of any.
	d.cookie = word(1) % 2 ? (truth.cookie ^ (word(0) | 1) << 32) : word(0);
	d.status = static_cast<std::uint32_t>(word(2) % 8);
	d.access = static_cast<std::uint32_t>(word(3));
	d.va = word(4);
	d.address = word(5);
	d.bytes = word(6);
	return d;
}

void garble(const liar &l, std::uint64_t message, svgpu_done &truth)
{
	auto word = [&](unsigned which) { return l.word(stream::done, message, which); };

	if (word(10) % 2)
		return;
	// How a job of the driver's does not end by itself, and what does not exist.
	truth.status = word(11) % 3 == 0 ? unsigned{ SVGPU_DONE_FAULT } :
		       word(11) % 3 == 1 ? unsigned{ SVGPU_DONE_CANCELED } :
					   6 + static_cast<std::uint32_t>(word(12) >> 40);
	truth.access = static_cast<std::uint32_t>(word(13));
	truth.va = word(14);
}

} // namespace svgpu
