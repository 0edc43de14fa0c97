using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi
{
    /// <content>The operations on sessions.</content>
    public sealed partial class GameApiClient
    {
        /// <summary>Creates a session.</summary>
        /// <param name="session">The fields of the session.</param>
        /// <param name="idempotencyKey">
        /// Null for a new one. A call with the key of an earlier one gets the result of the earlier one.
        /// </param>
        /// <param name="cancellationToken">Cancels the call.</param>
        public async Task<Session> CreateSessionAsync(
            SessionCreate session, string idempotencyKey = null, CancellationToken cancellationToken = default) =>
            Read(
                await PostAsync("/api/v1/sessions", session.ToJson(), idempotencyKey, cancellationToken),
                json => new Session(json));

        /// <summary>Reads a session. Returns null if its version is <paramref name="ifNoneMatch"/>.</summary>
        public Task<Session> GetSessionAsync(
            string sessionId, long? ifNoneMatch = null, CancellationToken cancellationToken = default) =>
            GetAsync(SessionPath(sessionId), ifNoneMatch, json => new Session(json), cancellationToken);

        /// <summary>Changes a session, if <paramref name="ifMatch"/> is null or its version.</summary>
        public async Task<Session> UpdateSessionAsync(
            string sessionId,
            SessionUpdate update,
            long? ifMatch = null,
            CancellationToken cancellationToken = default) =>
            Read(
                await SendAsync("PUT", SessionPath(sessionId), update.ToJson(), cancellationToken, ifMatch),
                json => new Session(json));

        /// <summary>Reads one page of sessions, newest first.</summary>
        /// <param name="filter">Which sessions to list; null for all that are live and public.</param>
        /// <param name="limit">The size of the page, 1 to 100; null for 20.</param>
        /// <param name="cursor">The <see cref="Page{T}.NextCursor"/> of the page before, or null.</param>
        /// <param name="cancellationToken">Cancels the call.</param>
        public Task<SessionPage> ListSessionsAsync(
            SessionFilter filter = null,
            int? limit = null,
            string cursor = null,
            CancellationToken cancellationToken = default)
        {
            var query = new Query();
            filter?.AddTo(query);
            query.Add("limit", limit);
            query.Add("cursor", cursor);
            return GetAsync("/api/v1/sessions" + query, null, json => new SessionPage(json), cancellationToken);
        }

        /// <summary>Walks all sessions, page by page. Use it with <c>await foreach</c>.</summary>
        /// <param name="filter">Which sessions to list; null for all that are live and public.</param>
        /// <param name="pageSize">How many sessions one request loads, 1 to 100.</param>
        public IAsyncEnumerable<Session> ListAllSessionsAsync(SessionFilter filter = null, int pageSize = 100) =>
            new Pages<Session>(async (cursor, token) => await ListSessionsAsync(filter, pageSize, cursor, token));

        /// <summary>Gives a player a seat. A player who has one keeps it.</summary>
        public async Task<Session> JoinSessionAsync(
            string sessionId,
            string playerId,
            SessionJoin join = null,
            long? ifMatch = null,
            CancellationToken cancellationToken = default)
        {
            var body = (join ?? new SessionJoin()).ToJson();
            return Read(
                await SendAsync("PUT", SeatPath(sessionId, playerId), body, cancellationToken, ifMatch),
                json => new Session(json));
        }

        /// <summary>Gives all players of a party a seat, or none of them.</summary>
        public async Task<Session> JoinSessionAsPartyAsync(
            string sessionId,
            PartyJoin party,
            string idempotencyKey = null,
            CancellationToken cancellationToken = default) =>
            Read(
                await PostAsync(
                    SessionPath(sessionId) + "/players", party.ToJson(), idempotencyKey, cancellationToken),
                json => new Session(json));

        /// <summary>Changes the readiness or the team of a member.</summary>
        public async Task<Session> UpdateMemberAsync(
            string sessionId,
            string playerId,
            MemberUpdate update,
            long? ifMatch = null,
            CancellationToken cancellationToken = default) =>
            Read(
                await SendAsync(
                    "PATCH", SeatPath(sessionId, playerId), update.ToJson(), cancellationToken, ifMatch),
                json => new Session(json));

        /// <summary>Frees the seat of a player. Without a seat, nothing changes.</summary>
        public Task LeaveSessionAsync(
            string sessionId,
            string playerId,
            long? ifMatch = null,
            CancellationToken cancellationToken = default) =>
            SendAsync("DELETE", SeatPath(sessionId, playerId), null, cancellationToken, ifMatch);
    }
}
