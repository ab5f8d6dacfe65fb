#include "network.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

#include "datareader.h"
#include "fault.h"
#include "layer.h"

namespace {

// The weight stream of a network, put together from parts of files.
class WeightStream : public ncnn::DataReader {
public:
    WeightStream(const std::string& path, const std::map<std::string, std::string>& files) {
        std::ifstream list(path, std::ios::binary);
        std::string line;
        if (!list) fail("infrastructure", "the weights '" + path + "' cannot be read");
        std::getline(list, line);
        if (line != "fleetnas-weights 1") {
            list.clear();
            list.seekg(0, std::ios::end);
            parts_.push_back({path, static_cast<size_t>(list.tellg()), ""});
            return;
        }
        while (std::getline(list, line))
            if (!line.empty() && line[0] != '#') add(line, files);
    }
    ~WeightStream() override { close(); }

    size_t read(void* buffer, size_t size) const override {
        char* at = static_cast<char*>(buffer);
        size_t done = 0;
        while (done < size) {
            if (left_ == 0 && !open_next()) break;
            const size_t want = std::min(size - done, left_);
            if (file_ == nullptr) memcpy(at + done, content_.data() + content_.size() - left_, want);
            else if (fread(at + done, 1, want, file_) != want) break;
            done += want;
            left_ -= want;
        }
        return done;
    }

    bool at_end() const { return left_ == 0 && next_ == parts_.size(); }

private:
    struct Part { std::string path; size_t size; std::string content; };  // an empty path: the content

    void add(const std::string& line, const std::map<std::string, std::string>& files) {
        std::istringstream words(line);
        std::string name;
        size_t size = 0;
        words >> name;
        if (name == "float32") { parts_.push_back({"", 4, std::string(4, '\0')}); return; }
        if (name == "values") { parts_.push_back(values(words)); return; }
        const auto found = files.find(name);
        if (!(words >> size) || found == files.end())
            fail("model", "the weights name '" + name + "', which is not among the job's files");
        parts_.push_back({found->second, size, ""});
    }

    // Numbers that stand in the list itself, as float32.
    static Part values(std::istringstream& words) {
        Part part{"", 0, ""};
        std::string word;
        while (words >> word) {
            char* end = nullptr;
            const float value = strtof(word.c_str(), &end);
            if (*end != '\0') fail("model", "the weights have '" + word + "' where a number should be");
            part.content.append(reinterpret_cast<const char*>(&value), sizeof value);
        }
        part.size = part.content.size();
        return part;
    }

    bool open_next() const {
        close();
        if (next_ == parts_.size()) return false;
        const Part& part = parts_[next_++];
        left_ = part.size;
        content_ = part.content;
        if (part.path.empty()) return true;
        file_ = fopen(part.path.c_str(), "rb");
        if (file_ == nullptr) fail("infrastructure", "the weights '" + part.path + "' cannot be read");
        return true;
    }

    void close() const {
        if (file_ != nullptr) fclose(file_);
        file_ = nullptr;
    }

    std::vector<Part> parts_;
    mutable size_t next_ = 0;
    mutable size_t left_ = 0;
    mutable FILE* file_ = nullptr;
    mutable std::string content_;  // of the open part, where it is none of a file
};

long long now_ns(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// Tells which layer is missing before ncnn gives up with a number. Returns the input's w, h, c.
std::vector<int> check_layers(const std::string& path) {
    std::ifstream stream(path);
    std::string line, kind, name, word;
    int magic = 0, layer_count = 0, found_count = 0;
    if (!(stream >> magic) || magic != 7767517) fail("model", "'" + path + "' is no ncnn network: it lacks ncnn's magic number");
    if (!(stream >> layer_count)) fail("model", "'" + path + "' does not say how many layers it has");
    std::getline(stream, line);
    std::vector<int> sides(3, 0);
    while (std::getline(stream, line)) {
        std::istringstream words(line);
        if (!(words >> kind >> name)) continue;
        ncnn::Layer* layer = ncnn::create_layer(kind.c_str());
        if (layer == nullptr)
            fail("model", "layer '" + name + "' is a " + kind + ", which this runner was built without: add it to "
                          "FLEETNAS_LAYERS in agents/runner/CMakeLists.txt and build again");
        delete layer;
        found_count++;
        if (kind != "Input") continue;
        while (words >> word)
            if (word.size() > 2 && word[1] == '=' && word[0] >= '0' && word[0] <= '2')
                sides[word[0] - '0'] = atoi(word.c_str() + 2);
    }
    // Else ncnn would go on with blobs that no layer makes.
    if (found_count != layer_count)
        fail("model", "'" + path + "' has " + std::to_string(found_count) + " layers, it says " + std::to_string(layer_count));
    if (sides[0] <= 0 || sides[1] <= 0 || sides[2] <= 0) fail("model", "'" + path + "' does not say the size of its input");
    return sides;
}

void read_input(ncnn::Mat& input, const std::string& path) {
    FILE* file = fopen(path.c_str(), "rb");
    if (file == nullptr) fail("infrastructure", "the input '" + path + "' cannot be read");
    const size_t plane = static_cast<size_t>(input.w) * input.h;
    bool whole = true;
    for (int channel = 0; channel < input.c && whole; channel++)
        whole = fread(input.channel(channel), sizeof(float), plane, file) == plane;
    fclose(file);
    if (!whole) fail("infrastructure", "the input '" + path + "' is shorter than the network's input");
}

}  // namespace

Network::Network(const NetworkFiles& files, const Job& job) : name_(files.param) {
    const std::vector<int> sides = check_layers(files.param);
    net_.opt.num_threads = job.thread_count;
    net_.opt.blob_allocator = &blobs_;
    net_.opt.workspace_allocator = &workspace_;
    // The target says fp32: nothing may silently become half as wide.
    net_.opt.use_fp16_packed = net_.opt.use_fp16_storage = net_.opt.use_fp16_arithmetic = false;
    net_.opt.use_bf16_storage = false;
    if (net_.load_param(files.param.c_str()) != 0) fail("model", "ncnn refuses '" + files.param + "'");
    WeightStream weights(files.weights, job.files);
    if (net_.load_model(weights) != 0) fail("model", "the weights of '" + files.param + "' are too short or broken");
    if (!weights.at_end()) fail("model", "'" + files.param + "' takes fewer weights than were given");
    input_.create(sides[0], sides[1], sides[2]);
    if (input_.empty()) fail("model", "no memory for the input of '" + files.param + "'");
    read_input(input_, job.input);
    infer();
}

void Network::infer() {
    ncnn::Extractor extractor = net_.create_extractor();
    const int told = extractor.input("input", input_);
    const int status = told != 0 ? told : extractor.extract("logits", output_);
    if (status != 0 || output_.empty())
        fail("model", "ncnn cannot run '" + name_ + "' (status " + std::to_string(status) +
                          (status == -100 ? ": out of memory)" : ")"));
}

RunTimes Network::run(long count) {
    const long long wall_ns = now_ns(CLOCK_MONOTONIC), cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (long index = 0; index < count; index++) infer();
    const long long cpu_end_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID), wall_end_ns = now_ns(CLOCK_MONOTONIC);
    return {wall_end_ns - wall_ns, cpu_end_ns - cpu_ns};
}

std::vector<double> Network::digest() const {
    std::vector<double> values;
    for (int channel = 0; channel < output_.c; channel++) {
        const float* at = output_.channel(channel);
        values.insert(values.end(), at, at + static_cast<size_t>(output_.w) * output_.h * output_.d);
    }
    double sum = 0.0, magnitudes = 0.0, largest = 0.0;
    for (double value : values) {
        sum += value;
        magnitudes += std::fabs(value);
        largest = std::max(largest, std::fabs(value));
    }
    std::vector<double> parts = {static_cast<double>(values.size()), sum, magnitudes, largest};
    for (int probe = 0; probe < 6; probe++)
        parts.push_back(values[static_cast<size_t>(std::lround((values.size() - 1) * probe / 5.0))]);
    return parts;
}
