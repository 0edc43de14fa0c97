using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi
{
    /// <content>The operations on players.</content>
    public sealed partial class GameApiClient
    {
        /// <summary>Creates a player.</summary>
        /// <param name="player">The fields of the player.</param>
        /// <param name="idempotencyKey">
        /// Null for a new one. A call with the key of an earlier one gets the result of the earlier one.
        /// </param>
        /// <param name="cancellationToken">Cancels the call.</param>
        public async Task<Player> CreatePlayerAsync(
            PlayerCreate player, string idempotencyKey = null, CancellationToken cancellationToken = default) =>
            Read(
                await PostAsync("/api/v1/players", player.ToJson(), idempotencyKey, cancellationToken),
                json => new Player(json));

        /// <summary>Reads a player. Returns null if its version is <paramref name="ifNoneMatch"/>.</summary>
        public Task<Player> GetPlayerAsync(
            string playerId, long? ifNoneMatch = null, CancellationToken cancellationToken = default) =>
            GetAsync(PlayerPath(playerId), ifNoneMatch, json => new Player(json), cancellationToken);

        /// <summary>Changes a player, if <paramref name="ifMatch"/> is null or its version.</summary>
        public async Task<Player> UpdatePlayerAsync(
            string playerId,
            PlayerUpdate update,
            long? ifMatch = null,
            CancellationToken cancellationToken = default) =>
            Read(
                await SendAsync("PUT", PlayerPath(playerId), update.ToJson(), cancellationToken, ifMatch),
                json => new Player(json));

        /// <summary>Deletes a player, if <paramref name="ifMatch"/> is null or its version.</summary>
        public Task DeletePlayerAsync(
            string playerId, long? ifMatch = null, CancellationToken cancellationToken = default) =>
            SendAsync("DELETE", PlayerPath(playerId), null, cancellationToken, ifMatch);

        /// <summary>Reads one page of players, by id; with a username the player of this name, whatever the case.</summary>
        /// <param name="username">The name of the player to find, or null.</param>
        /// <param name="limit">The size of the page, 1 to 100; null for 20.</param>
        /// <param name="cursor">The <see cref="Page{T}.NextCursor"/> of the page before, or null.</param>
        /// <param name="cancellationToken">Cancels the call.</param>
        public Task<PlayerPage> ListPlayersAsync(
            string username = null,
            int? limit = null,
            string cursor = null,
            CancellationToken cancellationToken = default)
        {
            var query = new Query();
            query.Add("username", username);
            query.Add("limit", limit);
            query.Add("cursor", cursor);
            return GetAsync("/api/v1/players" + query, null, json => new PlayerPage(json), cancellationToken);
        }

        /// <summary>Walks all players, page by page. Use it with <c>await foreach</c>.</summary>
        /// <param name="pageSize">How many players one request loads, 1 to 100.</param>
        public IAsyncEnumerable<Player> ListAllPlayersAsync(int pageSize = 100) =>
            new Pages<Player>(async (cursor, token) => await ListPlayersAsync(null, pageSize, cursor, token));

        /// <summary>Reads the live session in which the player has a seat; 404 <c>not_in_session</c> without one.</summary>
        public Task<Session> GetPlayerSessionAsync(
            string playerId, CancellationToken cancellationToken = default) =>
            GetAsync(PlayerPath(playerId) + "/session", null, json => new Session(json), cancellationToken);
    }
}
