// SPDX-License-Identifier: GPL-2.0-only
/* A stream of numbers that its seed decides, on every machine alike. */
#ifndef SVM_TESTS_CHAOS_RANDOM_HPP
#define SVM_TESTS_CHAOS_RANDOM_HPP

#include <cstddef>
#include <cstdint>

namespace chaos {

class random {
public:
	// Streams of one seed that differ in @who have nothing in common.
	random(std::uint64_t seed, std::uint64_t who) : state_(mixed(seed) ^ mixed(~who)) {}

	std::uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15); }
	std::size_t below(std::size_t limit) { return next() % limit; }
	bool percent(unsigned chance) { return below(100) < chance; }

private:
	// Finaliser of MurmurHash3 with the constants that splitmix64 uses.
	static std::uint64_t mixed(std::uint64_t x)
	{
		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
		x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
		return x ^ (x >> 31);
	}

	std::uint64_t state_;
};

} // namespace chaos

#endif
