// How the runner gives up: one line, with the kind of fault that the agent's driver reports.
#pragma once

#include <string>

// Prints "fault KIND MESSAGE" and ends the process with exit code 1.
// KIND: "model" (the network cannot run here) or "infrastructure" (anything else may do better elsewhere).
[[noreturn]] void fail(const char* kind, const std::string& message);
