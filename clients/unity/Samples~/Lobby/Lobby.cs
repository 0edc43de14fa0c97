using System;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi.Samples
{
    /// <summary>
    /// A player's way through a lobby: sign up, find a session or open one, get ready, start, leave. This class does
    /// not use Unity, so that it also runs on a server.
    /// </summary>
    public sealed class Lobby
    {
        private readonly GameApiClient client;
        private readonly string gameMode;
        private readonly Action<string> log;

        public Lobby(GameApiClient client, string gameMode, Action<string> log)
        {
            this.client = client;
            this.gameMode = gameMode;
            this.log = log;
        }

        public Player Player { get; private set; }

        public Session Session { get; private set; }

        /// <summary>Signs the player up, and takes a seat in a session that has one, or in a new session.</summary>
        public async Task EnterAsync(string username, CancellationToken token)
        {
            Player = await FindOrCreatePlayerAsync(username, token);
            Session = await FindSeatAsync(token)
                ?? await JoinAnySessionAsync(token)
                ?? await OpenSessionAsync(token);
            log(username + " has a seat in '" + Session.Name + "', " + Session.FreeSlots + " left");
        }

        public async Task GetReadyAsync(CancellationToken token)
        {
            var update = new MemberUpdate { Ready = true };
            Session = await client.UpdateMemberAsync(Session.SessionId, Player.PlayerId, update, null, token);
            log(Player.Username + " is ready");
        }

        /// <summary>Reads the session again. An unchanged one is not sent, only the word that it is unchanged.</summary>
        public async Task RefreshAsync(CancellationToken token)
        {
            Session = await client.GetSessionAsync(Session.SessionId, Session.Version, token) ?? Session;
        }

        /// <summary>Starts the match, unless somebody has changed the session since it was read.</summary>
        public async Task<bool> StartAsync(CancellationToken token)
        {
            var update = new SessionUpdate { Status = SessionStatus.Starting };
            try
            {
                Session = await client.UpdateSessionAsync(Session.SessionId, update, Session.Version, token);
            }
            catch (GameApiException error) when (error.Code == ErrorCodes.VersionMismatch)
            {
                log("somebody was faster: the session has version " + error.Problem.CurrentVersion);
                return false;
            }
            log("'" + Session.Name + "' is " + Session.Status);
            return true;
        }

        public async Task LeaveAsync(CancellationToken token)
        {
            await client.LeaveSessionAsync(Session.SessionId, Player.PlayerId, null, token);
            log(Player.Username + " has left");
        }

        private async Task<Player> FindOrCreatePlayerAsync(string username, CancellationToken token)
        {
            PlayerPage found = await client.ListPlayersAsync(username, null, null, token);
            return found.Items.Count > 0
                ? found.Items[0]
                : await client.CreatePlayerAsync(new PlayerCreate(username), null, token);
        }

        /// <summary>The session in which the player still has a seat, for example after a crash of the game.</summary>
        private async Task<Session> FindSeatAsync(CancellationToken token)
        {
            try
            {
                return await client.GetPlayerSessionAsync(Player.PlayerId, token);
            }
            catch (GameApiException error) when (error.Code == ErrorCodes.NotInSession)
            {
                return null;
            }
        }

        private async Task<Session> JoinAnySessionAsync(CancellationToken token)
        {
            var filter = new SessionFilter { GameMode = gameMode, Joinable = true };
            SessionPage sessions = await client.ListSessionsAsync(filter, null, null, token);
            foreach (Session session in sessions.Items)
            {
                try
                {
                    return await client.JoinSessionAsync(session.SessionId, Player.PlayerId, null, null, token);
                }
                catch (GameApiException error)
                    when (error.Code == ErrorCodes.SessionFull || error.Code == ErrorCodes.SessionNotJoinable)
                {
                    log("'" + session.Name + "' has filled up, looking for another one");
                }
            }
            return null;
        }

        private Task<Session> OpenSessionAsync(CancellationToken token)
        {
            var session = new SessionCreate(Player.DisplayName + "'s game", gameMode, maxPlayers: 2)
            {
                MinPlayers = 2,
                HostPlayerId = Player.PlayerId,
            };
            return client.CreateSessionAsync(session, null, token);
        }
    }
}
