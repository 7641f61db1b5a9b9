// The C++ engine's own reading of messages, for package fixbench: it takes the place of a stage in each run.
//
//	engine CORE MESSAGES [DICTIONARY [DICTIONARY]]     FIXT: that of the session first
//	stdin   plain, dictionary: read all messages once
//	stdout  ready N; then for each line: nanoseconds, messages that it took, bytes of their types and first fields (so that nothing is left out)
#include <quickfix/DataDictionary.h>
#include <quickfix/Message.h>

#include <sched.h>
#include <time.h>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

// messages are cut as they were written: each ends with 10=ddd and SOH.
static std::vector<std::string> cut(const std::string &all)
{
	std::vector<std::string> each;
	for (size_t at = 0; at < all.size();) {
		size_t end = all.find("\00110=", at);
		if (end == std::string::npos || end + 8 > all.size())
			break;
		each.push_back(all.substr(at, end + 8 - at));
		at = end + 8;
	}
	return each;
}

// ran is the time that this thread has run, ns.
static int64_t ran()
{
	timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int core = atoi(argv[1]);
	if (core >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(core, &set);
		if (sched_setaffinity(0, sizeof set, &set) != 0) {
			std::cerr << "core " << core << ": " << strerror(errno) << std::endl;
			return 1;
		}
	}
	std::ifstream in(argv[2], std::ios::binary);
	std::vector<std::string> each = cut(std::string(std::istreambuf_iterator<char>(in), {}));
	std::vector<std::unique_ptr<FIX::DataDictionary>> dicts;
	for (int i = 3; i < argc; i++)
		dicts.emplace_back(new FIX::DataDictionary(argv[i]));
	std::cout << "ready " << each.size() << std::endl;
	std::string how;
	while (std::getline(std::cin, how)) {
		size_t taken = 0, seen = 0;
		int64_t began = ran();
		for (const std::string &one : each) {
			try {
				// Length and sum are verified (true), as the engine does with what comes.
				std::unique_ptr<FIX::Message> m;
				if (how == "plain" || dicts.empty())
					m.reset(new FIX::Message(one, true));
				else if (dicts.size() == 1)
					m.reset(new FIX::Message(one, *dicts[0], true));
				else
					m.reset(new FIX::Message(one, *dicts[0], *dicts[1], true));
				seen += m->getHeader().getField(35).size() + m->begin()->getString().size();
				taken++;
			} catch (std::exception &) {
			}
		}
		std::cout << ran() - began << ' ' << taken << ' ' << seen << std::endl;
	}
}
