// peer is the other side of the tests: the C++ engine of libquickfix-dev, as a venue (acceptor) or as a client (initiator).
//
//   peer acceptor  FILE UPDATES ID    answers V with W, then UPDATES times X, each with the next price; ID 0: without MDReqID
//   peer initiator FILE DEPTH SYMBOL… subscribes when it has logged on
//
// FILE is the engine's configuration. What happens is told on standard output, a line each, SOH as '|':
//   logon | logout | app MESSAGE | admin MESSAGE | sent MESSAGE
// Commands come on standard input: quit; go (acceptor: go on after half of the updates, if HALT was given in the environment).
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include "quickfix/Application.h"
#include "quickfix/FileStore.h"
#include "quickfix/MessageStore.h"
#include "quickfix/Session.h"
#include "quickfix/SessionSettings.h"
#include "quickfix/ThreadedSocketAcceptor.h"
#include "quickfix/ThreadedSocketInitiator.h"

static std::mutex outMutex;

static void tell(const std::string &what, const FIX::Message *m) {
  std::string line = what;
  if (m) {
    std::string text = m->toString();
    for (char &c : text)
      if (c == '\001') c = '|';
    line += " " + text;
  }
  std::lock_guard<std::mutex> lock(outMutex);
  std::cout << line << std::endl;
}

class Peer : public FIX::Application {
public:
  bool venue = false, withID = true;
  int updates = 0, depth = 1;
  std::vector<std::string> symbols;
  std::atomic<bool> go{false}, done{false};
  bool halt = getenv("HALT") != nullptr;
  std::thread worker;
  std::atomic<int> requests{0};

  void onCreate(const FIX::SessionID &) override {}
  void onLogon(const FIX::SessionID &id) override {
    tell("logon", nullptr);
    if (!venue) subscribe(id);
  }
  void onLogout(const FIX::SessionID &) override { tell("logout", nullptr); }
  void toAdmin(FIX::Message &m, const FIX::SessionID &) override { tell("sent", &m); }
  void toApp(FIX::Message &, const FIX::SessionID &) throw(FIX::DoNotSend) override {}
  void fromAdmin(const FIX::Message &m, const FIX::SessionID &) throw(FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue,
                                                                     FIX::RejectLogon) override {
    tell("admin", &m);
  }
  void fromApp(const FIX::Message &m, const FIX::SessionID &id) throw(FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue,
                                                                     FIX::UnsupportedMessageType) override {
    std::string type = m.getHeader().getField(35);
    tell("app", &m);
    if (!venue) return;
    if (type == "x") {
      list(m, id);
      return;
    }
    if (type != "V") throw FIX::UnsupportedMessageType();
    if (m.getField(263) == "2") return;
    int order[] = {55, 0};
    std::vector<std::string> asked;
    int n = std::stoi(m.getField(146));
    for (int i = 1; i <= n; i++) {
      FIX::Group g(146, 55, order);
      m.getGroup(i, g);
      asked.push_back(g.getField(55));
    }
    std::string request = m.getField(262);
    for (const std::string &symbol : asked) snapshot(request, symbol, id);
    if (requests++ == 0 && updates > 0) worker = std::thread(&Peer::send, this, request, asked[0], id);
  }

private:
  void snapshot(const std::string &request, const std::string &symbol, const FIX::SessionID &id) {
    FIX::Message w;
    w.getHeader().setField(35, "W");
    w.setField(262, request);
    w.setField(55, symbol);
    int order[] = {269, 270, 271, 0};
    for (int side = 0; side < 2; side++) {
      FIX::Group g(268, 269, order);
      g.setField(269, std::to_string(side));
      g.setField(270, side ? "100.5" : "100.25");
      g.setField(271, side ? "7" : "5");
      w.addGroup(g);
    }
    FIX::Session::sendToTarget(w, id);
  }
  void list(const FIX::Message &m, const FIX::SessionID &id) {
    for (int part = 0; part < 2; part++) {
      FIX::Message y;
      y.getHeader().setField(35, "y");
      y.setField(320, m.getField(320));
      y.setField(322, std::to_string(part));
      y.setField(560, "0");
      y.setField(393, "3");
      y.setField(893, part ? "Y" : "N");
      int order[] = {55, 0};
      for (int i = 0; i < 2 - part; i++) {
        FIX::Group g(146, 55, order);
        g.setField(55, "L" + std::to_string(2 * part + i));
        y.addGroup(g);
      }
      FIX::Session::sendToTarget(y, id);
    }
  }
  void send(std::string request, std::string symbol, FIX::SessionID id) {
    int order[] = {279, 269, 55, 270, 271, 0};
    for (int i = 1; i <= updates && !done; i++) {
      if (halt && i == updates / 2) {
        tell("halted", nullptr);
        while (!go && !done) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      FIX::Message x;
      x.getHeader().setField(35, "X");
      if (withID) x.setField(262, request);
      FIX::Group g(268, 279, order);
      g.setField(279, "1");
      g.setField(269, "0");
      g.setField(55, symbol);
      g.setField(270, std::to_string(i));
      g.setField(271, "1");
      x.addGroup(g);
      FIX::Session::sendToTarget(x, id);
    }
    tell("finished", nullptr);
  }
  void subscribe(const FIX::SessionID &id) {
    FIX::Message v;
    v.getHeader().setField(35, "V");
    v.setField(262, "R" + std::to_string(++requests));
    v.setField(263, "1");
    v.setField(264, std::to_string(depth));
    v.setField(265, "1");
    v.setField(266, "Y");
    for (const char *t : {"0", "1", "2"}) {
      int order[] = {269, 0};
      FIX::Group g(267, 269, order);
      g.setField(269, t);
      v.addGroup(g);
    }
    for (const std::string &symbol : symbols) {
      int order[] = {55, 0};
      FIX::Group g(146, 55, order);
      g.setField(55, symbol);
      v.addGroup(g);
    }
    FIX::Session::sendToTarget(v, id);
  }
};

template <class Engine> static int serve(Engine &engine, Peer &peer) {
  engine.start();
  tell("ready", nullptr);
  std::string line;
  while (std::getline(std::cin, line) && line != "quit") {
    if (line == "go") peer.go = true;
  }
  peer.done = true;
  engine.stop(true);
  if (peer.worker.joinable()) peer.worker.join();
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  try {
    Peer peer;
    peer.venue = std::string(argv[1]) == "acceptor";
    FIX::SessionSettings settings((std::string(argv[2])));
    FIX::FileStoreFactory store(settings);
    if (peer.venue) {
      peer.updates = std::stoi(argv[3]);
      peer.withID = argc < 5 || std::string(argv[4]) != "0";
      FIX::ThreadedSocketAcceptor engine(peer, store, settings);
      return serve(engine, peer);
    }
    peer.depth = std::stoi(argv[3]);
    for (int i = 4; i < argc; i++) peer.symbols.push_back(argv[i]);
    FIX::ThreadedSocketInitiator engine(peer, store, settings);
    return serve(engine, peer);
  } catch (std::exception &e) {
    std::cerr << "peer: " << e.what() << std::endl;
    return 1;
  }
}
