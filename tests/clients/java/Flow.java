import com.fasterxml.jackson.core.JsonProcessingException;
import gameapi.ApiClient;
import gameapi.ApiException;
import gameapi.api.HealthApi;
import gameapi.api.PlayersApi;
import gameapi.api.PlayersApi.APICreatePlayerRequest;
import gameapi.api.PlayersApi.APIListPlayersRequest;
import gameapi.api.SessionsApi;
import gameapi.api.SessionsApi.APICreateSessionRequest;
import gameapi.api.SessionsApi.APIJoinSessionAsPartyRequest;
import gameapi.api.SessionsApi.APIListSessionsRequest;
import gameapi.model.*;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;

/** The flow that every generated client runs, with the library "native" of openapi-generator. */
public class Flow {
  static final String URL = System.getenv("GAME_API_URL");
  static final String TOKEN = System.getenv("GAME_API_TOKEN");
  static final String PREFIX = System.getenv("GAME_API_PREFIX");
  static final String ADA = PREFIX + "ada";
  static final String BOB = PREFIX + "bob";
  static final String EVE = PREFIX + "eve";
  static final String DAN = PREFIX + "dan";
  static final Map<String, Object> ATTRIBUTES =
      Map.of("text", "5", "whole", 9007199254740993L, "half", 1.5, "flag", true);

  static final ApiClient client = connect(URL, TOKEN);
  static final PlayersApi players = new PlayersApi(client);
  static final SessionsApi sessions = new SessionsApi(client);

  static ApiClient connect(String url, String token) {
    var client = new ApiClient();
    client.updateBaseUri(url);
    client.setRequestInterceptor(request -> request.setHeader("Authorization", "Bearer " + token));
    return client;
  }

  interface Request {
    Object send() throws ApiException;
  }

  static void equal(Object actual, Object expected) {
    if (!Objects.equals(actual, expected)) {
      throw new AssertionError("found " + actual + " instead of " + expected);
    }
  }

  static void check(boolean condition, Object about) {
    equal(condition ? "ok" : about, "ok");
  }

  static ApiException failure(Request request) {
    try {
      throw new AssertionError("not refused: " + request.send());
    } catch (ApiException e) {
      return e;
    }
  }

  /**
   * The generated client throws an exception with the text of the body, whatever the document
   * declares, so the caller has to read it into the generated model.
   */
  static Problem refused(String name, Request request) throws JsonProcessingException {
    var failure = failure(request);
    check(failure.getResponseBody() != null, failure);
    var problem = client.getObjectMapper().readValue(failure.getResponseBody(), Problem.class);
    System.out.println(
        String.join("\t", "refusal", name, "" + failure.getCode(), problem.getCode()));
    equal(problem.getStatus(), failure.getCode());
    check(!problem.getRequestId().isEmpty(), problem);
    return problem;
  }

  static PlayerCreate named(String username) {
    return new PlayerCreate().username(username);
  }

  static APICreatePlayerRequest creating(PlayerCreate body) {
    return APICreatePlayerRequest.newBuilder().playerCreate(body).build();
  }

  static Player change(PlayerUpdate body) throws ApiException {
    return players.updatePlayer(ADA, body, null);
  }

  static void play() throws Exception {
    var created =
        players.createPlayerWithHttpInfo(
            creating(named(ADA).playerId(ADA).region("eu-central-1").attributes(ATTRIBUTES)));
    equal(created.getStatusCode(), 201);
    equal(created.getData().getAttributes(), ATTRIBUTES);
    for (var name : List.of(BOB, EVE, DAN)) {
      players.createPlayer(creating(named(name).playerId(name)));
    }
    var rated = change(new PlayerUpdate().rating(1500));
    equal(List.of(rated.getRating(), rated.getRegion(), rated.getVersion()),
        List.of(1500, "eu-central-1", 2L));
    equal(rated.getAttributes(), ATTRIBUTES);
    equal(change(new PlayerUpdate().region(null)).getRegion(), null);
    var etag = players.getPlayerWithHttpInfo(ADA, null).getHeaders().get("etag").get(0);
    equal(failure(() -> players.getPlayer(ADA, etag)).getCode(), 304);
    var found = players.listPlayers(APIListPlayersRequest.newBuilder().username(ADA).build());
    equal(found.getItems().stream().map(Player::getPlayerId).toList(), List.of(ADA));
  }

  static void refusedPlayers() throws Exception {
    refused("player_exists", () -> players.createPlayer(creating(named(ADA + "2").playerId(ADA))));
    refused("username_taken", () -> players.createPlayer(creating(named(ADA.toUpperCase()))));
    refused("player_not_found", () -> players.getPlayer(PREFIX + "nobody", null));
    var strangers = new PlayersApi(connect(URL, "made-up"));
    refused("unauthenticated", () -> strangers.getPlayer(ADA, null));
    var nowhere = new PlayersApi(connect(URL + "/nowhere", TOKEN));
    refused("not_found", () -> nowhere.getPlayer(ADA, null));
    var none = APIListPlayersRequest.newBuilder().limit(0).build();
    var invalid = refused("validation_error", () -> players.listPlayers(none));
    var location = invalid.getErrors().get(0).getLoc();
    equal(location.stream().map(item -> item.getActualInstance()).toList(),
        List.of("query", "limit"));
    var large = named(ADA).putAttributesItem("text", "x".repeat(70_000));
    refused("body_too_large", () -> players.createPlayer(creating(large)));
    var text = connect(URL, TOKEN);
    text.setRequestInterceptor(
        text.getRequestInterceptor()
            .andThen(request -> request.setHeader("Content-Type", "text/plain")));
    var texts = new PlayersApi(text);
    refused("unsupported_media_type", () -> texts.createPlayer(creating(named(ADA))));
  }

  static SessionCreate duel(int maxPlayers) {
    return new SessionCreate().name("Friday duel").gameMode(PREFIX + "duel").maxPlayers(maxPlayers);
  }

  static Session create(SessionCreate body) throws ApiException {
    return sessions.createSession(APICreateSessionRequest.newBuilder().sessionCreate(body).build());
  }

  static Session update(String session, SessionUpdate body) throws ApiException {
    return sessions.updateSession(session, body, null);
  }

  static Session move(String session, SessionStatus status) throws ApiException {
    return update(session, new SessionUpdate().status(status));
  }

  static Session join(String session, String player) throws ApiException {
    return sessions.joinSession(session, player, null, null);
  }

  static Session setReady(String session, String player) throws ApiException {
    return sessions.updateMember(session, player, new MemberUpdate().ready(true), null);
  }

  static void playSession() throws Exception {
    var duel = create(duel(2).minPlayers(2)).getSessionId();
    var red = new SessionJoin().team("red");
    var joined = sessions.joinSessionWithHttpInfo(duel, ADA, null, red);
    equal(joined.getStatusCode(), 201);
    equal(joined.getData().getMembers().get(0).getTeam(), "red");
    equal(joined.getData().getHostPlayerId(), ADA);
    equal(sessions.joinSessionWithHttpInfo(duel, ADA, null, red).getStatusCode(), 200);
    var alone = refused("not_enough_players", () -> move(duel, SessionStatus.STARTING));
    equal(List.of(alone.getPlayerCount(), alone.getMinPlayers()), List.of(1, 2));
    var illegal = refused("illegal_transition", () -> move(duel, SessionStatus.ACTIVE));
    equal(List.of(illegal.getFrom(), illegal.getTo()), List.of("waiting", "active"));
    equal(illegal.getAllowed(), List.of("starting", "cancelled"));
    equal(join(duel, BOB).getMembers().get(1).getTeam(), null);
    refusedSeats(duel);

    var ready = setReady(duel, ADA);
    check(ready.getMembers().get(0).getReady(), ready);
    var late = new SessionUpdate().name("Late");
    var stale = refused("version_mismatch", () -> sessions.updateSession(duel, late, "\"1\""));
    equal(stale.getCurrentVersion(), ready.getVersion());
    var etag = "\"" + ready.getVersion() + "\"";
    sessions.updateSession(duel, new SessionUpdate().status(SessionStatus.STARTING), etag);
    var server = new ServerAddress().address("198.51.100.7").port(7777);
    var active = update(duel, new SessionUpdate().status(SessionStatus.ACTIVE).server(server));
    equal(active.getServer().getPort(), 7777);
    check(active.getStartedAt() != null, active);
    check(move(duel, SessionStatus.ENDED).getEndedAt() != null, duel);
    var over = refused("session_over", () -> update(duel, new SessionUpdate().name("Again")));
    equal(over.getSessionStatus(), "ended");
  }

  /** The refusals that need a full session, and another one that Eve hosts. */
  static void refusedSeats(String duel) throws Exception {
    var other = create(duel(4).hostPlayerId(EVE)).getSessionId();
    refused("session_full", () -> join(duel, DAN));
    var smaller = new SessionUpdate().maxPlayers(1).minPlayers(1);
    equal(refused("too_many_members", () -> update(duel, smaller)).getPlayerCount(), 2);
    var elsewhere = refused("already_in_session", () -> join(other, ADA));
    equal(List.of(elsewhere.getSessionId(), elsewhere.getPlayerId()), List.of(duel, ADA));
    refused("not_a_member", () -> setReady(duel, EVE));
    var host = new SessionUpdate().hostPlayerId(EVE);
    refused("not_a_member as host", () -> update(duel, host));
    refused("not_in_session", () -> players.getPlayerSession(DAN));
    var seated = refused("in_session", () -> players.deletePlayerWithHttpInfo(ADA, null));
    equal(seated.getSessionId(), duel);
    move(other, SessionStatus.STARTING);
    var late = refused("session_not_joinable", () -> join(other, DAN));
    equal(late.getSessionStatus(), "starting");
    refused("session_not_found", () -> move(PREFIX + "nowhere", SessionStatus.STARTING));
  }

  static SessionPage page(UnaryOperator<APIListSessionsRequest.Builder> filters)
      throws ApiException {
    var request = APIListSessionsRequest.newBuilder().gameMode(PREFIX + "list");
    return sessions.listSessions(filters.apply(request).build());
  }

  static int count(UnaryOperator<APIListSessionsRequest.Builder> filters) throws ApiException {
    return page(filters).getItems().size();
  }

  static void lists() throws Exception {
    var ids = new ArrayList<String>();
    for (int i = 0; i < 5; i++) {
      Map<String, Object> attributes = Map.of("parity", i % 2 == 0 ? "even" : "odd", "level", i);
      var body = duel(2).gameMode(PREFIX + "list").attributes(attributes);
      ids.add(create(body).getSessionId());
    }
    move(ids.get(0), SessionStatus.CANCELLED);
    equal(count(filters -> filters), 4);
    equal(count(filters -> filters.joinable(true)), 4);
    equal(count(filters -> filters.attribute(List.of("parity:odd"))), 2);
    equal(count(filters -> filters.attribute(List.of("parity:odd", "level:3"))), 1);
    equal(count(filters -> filters.status(List.of(SessionStatus.CANCELLED))), 1);
    var statuses = List.of(SessionStatus.WAITING, SessionStatus.CANCELLED);
    var walked = new ArrayList<String>();
    String cursor = null;
    do {
      var next = cursor;
      var found = page(filters -> filters.status(statuses).limit(2).cursor(next));
      found.getItems().forEach(session -> walked.add(session.getSessionId()));
      cursor = found.getNextCursor();
    } while (cursor != null);
    Collections.reverse(walked);
    equal(walked, ids);

    var party = new PartyJoin().addPlayerIdsItem(DAN);
    var joining =
        APIJoinSessionAsPartyRequest.newBuilder().sessionId(ids.get(1)).partyJoin(party).build();
    equal(sessions.joinSessionAsParty(joining).getPlayerCount(), 1);
    sessions.leaveSession(ids.get(1), DAN, null);
    players.deletePlayer(DAN, null);
  }

  public static void main(String[] arguments) throws Exception {
    equal(new HealthApi(client).getHealthWithHttpInfo().getStatusCode(), 200);
    play();
    refusedPlayers();
    playSession();
    lists();
  }
}
