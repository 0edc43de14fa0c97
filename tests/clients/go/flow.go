// The flow that every generated client runs, with oapi-codegen.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/oapi-codegen/nullable"

	api "game-api/tests/clients/go/generated"
)

var (
	ctx    = context.Background()
	url    = os.Getenv("GAME_API_URL")
	token  = os.Getenv("GAME_API_TOKEN")
	prefix = os.Getenv("GAME_API_PREFIX")
	ada    = prefix + "ada"
	bob    = prefix + "bob"
	eve    = prefix + "eve"
	dan    = prefix + "dan"
	client = connect(url, token)
)

func connect(url, token string) *api.ClientWithResponses {
	authorize := func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
	return must(api.NewClientWithResponses(url, api.WithRequestEditorFn(authorize)))
}

func must[T any](value T, err error) T {
	check(err == nil, err)
	return value
}

func check(condition bool, about ...any) {
	if !condition {
		log.Panicln(about...)
	}
}

func equal(actual, expected any) {
	check(reflect.DeepEqual(actual, expected), "found", actual, "instead of", expected)
}

// response is what the types of all responses have in common.
type response interface {
	StatusCode() int
	GetBody() []byte
}

// ok returns the typed body, which must be there, after it has checked the status.
func ok[T any](status int, r response, body *T) T {
	check(r.StatusCode() == status && body != nil, r.StatusCode(), string(r.GetBody()))
	return *body
}

func done(status int, r response) {
	check(r.StatusCode() == status, r.StatusCode(), string(r.GetBody()))
}

// problem finds the typed problem of a response. There is one getter for each declared status, and
// one for the default response, which holds the problem of any other status.
func problem(r response) *api.Problem {
	name := fmt.Sprintf("GetApplicationproblemJSON%d", r.StatusCode())
	getter := reflect.ValueOf(r).MethodByName(name)
	if !getter.IsValid() {
		getter = reflect.ValueOf(r).MethodByName("GetApplicationproblemJSONDefault")
	}
	return getter.Call(nil)[0].Interface().(*api.Problem)
}

func refused(name string, r response) api.Problem {
	found := problem(r)
	check(found != nil, name, "was not refused:", r.StatusCode(), string(r.GetBody()))
	fmt.Printf("refusal\t%s\t%d\t%s\n", name, r.StatusCode(), found.Code)
	check(int(found.Status) == r.StatusCode() && found.RequestId != "", found)
	return *found
}

func attributes(text string) *api.Attributes {
	var found api.Attributes
	must(0, json.Unmarshal([]byte(text), &found))
	return &found
}

func createPlayer(body api.PlayerCreate) *api.CreatePlayerResponse {
	return must(client.CreatePlayerWithResponse(ctx, nil, body))
}

func updatePlayer(body api.PlayerUpdate) api.Player {
	r := must(client.UpdatePlayerWithResponse(ctx, ada, nil, body))
	return ok(200, r, r.JSON200)
}

// checkAttributes relies on the order of the types in the document, as clients in Go do.
func checkAttributes(found api.Attributes) {
	equal(must(found["flag"].AsAttributeValue0()), true)
	equal(must(found["whole"].AsAttributeValue1()), int64(1<<53+1))
	equal(must(found["half"].AsAttributeValue2()), 1.5)
	equal(must(found["text"].AsAttributeValue3()), "5")
}

func players() {
	region := nullable.NewNullableWithValue("eu-central-1")
	values := attributes(`{"text": "5", "flag": true, "whole": 9007199254740993, "half": 1.5}`)
	r := createPlayer(api.PlayerCreate{Username: ada, PlayerId: &ada, Region: region, Attributes: values})
	checkAttributes(ok(201, r, r.JSON201).Attributes)
	for _, name := range []string{bob, eve, dan} {
		done(201, createPlayer(api.PlayerCreate{Username: name, PlayerId: &name}))
	}
	rated := updatePlayer(api.PlayerUpdate{Rating: ptr[int32](1500)})
	equal([]any{rated.Rating, rated.Region, rated.Version}, []any{int32(1500), region, int64(2)})
	checkAttributes(rated.Attributes)
	cleared := updatePlayer(api.PlayerUpdate{Region: nullable.NewNullNullable[string]()})
	check(cleared.Region.IsNull(), cleared)

	etag := must(client.GetPlayerWithResponse(ctx, ada, nil)).Headers200.ETag
	done(304, must(client.GetPlayerWithResponse(ctx, ada, &api.GetPlayerParams{IfNoneMatch: etag})))
	list := must(client.ListPlayersWithResponse(ctx, &api.ListPlayersParams{Username: &ada}))
	page := ok(200, list, list.JSON200)
	check(len(page.Items) == 1 && page.Items[0].PlayerId == ada, page)
}

func refusedPlayers() {
	refused("player_exists", createPlayer(api.PlayerCreate{Username: ada + "2", PlayerId: &ada}))
	refused("username_taken", createPlayer(api.PlayerCreate{Username: strings.ToUpper(ada)}))
	refused("player_not_found", must(client.GetPlayerWithResponse(ctx, prefix+"nobody", nil)))
	stranger := connect(url, "made-up")
	refused("unauthenticated", must(stranger.GetPlayerWithResponse(ctx, ada, nil)))
	nowhere := connect(url+"/nowhere", token)
	refused("not_found", must(nowhere.GetPlayerWithResponse(ctx, ada, nil)))
	params := api.ListPlayersParams{Limit: ptr[int32](0)}
	invalid := refused("validation_error", must(client.ListPlayersWithResponse(ctx, &params)))
	location := (*invalid.Errors)[0].Loc
	equal(must(location[0].AsFieldErrorLoc0()), "query")
	equal(must(location[1].AsFieldErrorLoc0()), "limit")
	long := attributes(`{"text": "` + strings.Repeat("x", 70_000) + `"}`)
	refused("body_too_large", createPlayer(api.PlayerCreate{Username: ada, Attributes: long}))
	body := strings.NewReader(`{"username": "ada"}`)
	text := must(client.CreatePlayerWithBodyWithResponse(ctx, nil, "text/plain", body))
	refused("unsupported_media_type", text)
}

func createSession(mode string, body api.SessionCreate) api.Session {
	body.Name, body.GameMode = "Friday duel", prefix+mode
	r := must(client.CreateSessionWithResponse(ctx, nil, body))
	return ok(201, r, r.JSON201)
}

func update(session string, body api.SessionUpdate) *api.UpdateSessionResponse {
	return must(client.UpdateSessionWithResponse(ctx, session, nil, body))
}

func move(session string, status api.SessionStatus) *api.UpdateSessionResponse {
	return update(session, api.SessionUpdate{Status: &status})
}

func join(session, player string) *api.JoinSessionResponse {
	return must(client.JoinSessionWithBodyWithResponse(ctx, session, player, nil, "", http.NoBody))
}

func joinTeam(session, player, team string) *api.JoinSessionResponse {
	body := api.SessionJoin{Team: &team}
	return must(client.JoinSessionWithResponse(ctx, session, player, nil, body))
}

func setReady(session, player string) *api.UpdateMemberResponse {
	body := api.MemberUpdate{Ready: ptr(true)}
	return must(client.UpdateMemberWithResponse(ctx, session, player, nil, body))
}

func play() {
	duel := createSession("duel", api.SessionCreate{MaxPlayers: 2, MinPlayers: ptr[int32](2)}).SessionId
	first := joinTeam(duel, ada, "red")
	joined := ok(201, first, first.JSON201)
	equal(must(joined.Members[0].Team.Get()), "red")
	equal(must(joined.HostPlayerId.Get()), ada)
	done(200, joinTeam(duel, ada, "red"))
	alone := refused("not_enough_players", move(duel, api.Starting))
	equal([]int32{*alone.PlayerCount, *alone.MinPlayers}, []int32{1, 2})
	illegal := refused("illegal_transition", move(duel, api.Active))
	equal([]string{*illegal.From, *illegal.To}, []string{"waiting", "active"})
	equal(*illegal.Allowed, []string{"starting", "cancelled"})
	second := join(duel, bob)
	check(ok(201, second, second.JSON201).Members[1].Team.IsNull(), second)
	refusedSeats(duel)

	member := setReady(duel, ada)
	ready := ok(200, member, member.JSON200)
	check(ready.Members[0].Ready, ready)
	conditional := func(version int64, body api.SessionUpdate) *api.UpdateSessionResponse {
		params := api.UpdateSessionParams{IfMatch: ptr(fmt.Sprintf(`"%d"`, version))}
		return must(client.UpdateSessionWithResponse(ctx, duel, &params, body))
	}
	stale := refused("version_mismatch", conditional(1, api.SessionUpdate{Name: ptr("Late")}))
	equal(*stale.CurrentVersion, ready.Version)
	done(200, conditional(ready.Version, api.SessionUpdate{Status: ptr(api.Starting)}))
	server := api.ServerAddress{Address: "198.51.100.7", Port: 7777}
	active := update(duel, api.SessionUpdate{
		Status: ptr(api.Active), Server: nullable.NewNullableWithValue(server)})
	activated := ok(200, active, active.JSON200)
	equal(must(activated.Server.Get()).Port, server.Port)
	check(!must(activated.StartedAt.Get()).IsZero(), activated)
	ended := move(duel, api.Ended)
	check(!ok(200, ended, ended.JSON200).EndedAt.IsNull(), ended)
	over := refused("session_over", update(duel, api.SessionUpdate{Name: ptr("Again")}))
	equal(*over.SessionStatus, "ended")
}

// refusedSeats provokes what needs a full session, and another one that Eve hosts.
func refusedSeats(duel string) {
	other := createSession("duel", api.SessionCreate{MaxPlayers: 4, HostPlayerId: &eve}).SessionId
	refused("session_full", join(duel, dan))
	smaller := api.SessionUpdate{MaxPlayers: ptr[int32](1), MinPlayers: ptr[int32](1)}
	equal(*refused("too_many_members", update(duel, smaller)).PlayerCount, int32(2))
	elsewhere := refused("already_in_session", join(other, ada))
	equal([]string{*elsewhere.SessionId, *elsewhere.PlayerId}, []string{duel, ada})
	refused("not_a_member", setReady(duel, eve))
	refused("not_a_member as host", update(duel, api.SessionUpdate{HostPlayerId: &eve}))
	refused("not_in_session", must(client.GetPlayerSessionWithResponse(ctx, dan)))
	seated := refused("in_session", must(client.DeletePlayerWithResponse(ctx, ada, nil)))
	equal(*seated.SessionId, duel)
	done(200, move(other, api.Starting))
	late := refused("session_not_joinable", join(other, dan))
	equal(*late.SessionStatus, "starting")
	refused("session_not_found", update(prefix+"nowhere", api.SessionUpdate{Name: ptr("Nowhere")}))
}

func page(params api.ListSessionsParams) api.SessionPage {
	params.GameMode = ptr(prefix + "list")
	r := must(client.ListSessionsWithResponse(ctx, &params))
	return ok(200, r, r.JSON200)
}

func lists() {
	var ids []string
	for i, parity := range []string{"even", "odd", "even", "odd", "even"} {
		values := attributes(fmt.Sprintf(`{"parity": %q, "level": %d}`, parity, i))
		body := api.SessionCreate{MaxPlayers: 2, Attributes: values}
		ids = append(ids, createSession("list", body).SessionId)
	}
	done(200, move(ids[0], api.Cancelled))
	equal(len(page(api.ListSessionsParams{}).Items), 4)
	equal(len(page(api.ListSessionsParams{Joinable: ptr(true)}).Items), 4)
	equal(len(page(api.ListSessionsParams{Attribute: &[]string{"parity:odd"}}).Items), 2)
	equal(len(page(api.ListSessionsParams{Attribute: &[]string{"parity:odd", "level:3"}}).Items), 1)
	equal(len(page(api.ListSessionsParams{Status: &[]api.SessionStatus{api.Cancelled}}).Items), 1)
	params := api.ListSessionsParams{
		Status: &[]api.SessionStatus{api.Waiting, api.Cancelled}, Limit: ptr[int32](2)}
	var walked []string
	for {
		found := page(params)
		for _, session := range found.Items {
			walked = append(walked, session.SessionId)
		}
		if found.NextCursor.IsNull() {
			break
		}
		params.Cursor = ptr(must(found.NextCursor.Get()))
	}
	slices.Reverse(walked)
	equal(walked, ids)

	party := api.PartyJoin{PlayerIds: []string{dan}}
	r := must(client.JoinSessionAsPartyWithResponse(ctx, ids[1], nil, party))
	equal(ok(200, r, r.JSON200).PlayerCount, int32(1))
	done(204, must(client.LeaveSessionWithResponse(ctx, ids[1], dan, nil)))
	done(204, must(client.DeletePlayerWithResponse(ctx, dan, nil)))
}

func ptr[T any](value T) *T { return &value }

func main() {
	done(200, must(client.GetHealthWithResponse(ctx)))
	players()
	refusedPlayers()
	play()
	lists()
}
