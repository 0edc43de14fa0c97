using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    internal static class SessionTests
    {
        public static async Task What_is_not_set_is_not_sent_and_stays()
        {
            Session session = await CreateAsync(2);
            session = await Service.Client.UpdateSessionAsync(
                session.SessionId,
                new SessionUpdate { Server = new GameServer("192.0.2.1", 7777), JoinInProgress = true, Region = "eu-central-1" });
            Session updated = await Service.Client.UpdateSessionAsync(session.SessionId, new SessionUpdate { Name = "Renamed" });
            Check.Equal("{\"name\":\"Renamed\"}", Service.Wire.SentBody);
            Check.Equal("192.0.2.1:7777", updated.Server.Address + ":" + updated.Server.Port);
            Check.Equal(true, updated.JoinInProgress);
            Check.Equal("eu-central-1", updated.Region);
        }

        public static async Task Null_clears_region_and_server_and_false_is_sent()
        {
            Session session = await CreateAsync(2);
            var filled = new SessionUpdate { Server = new GameServer("192.0.2.1", 7777), JoinInProgress = true, Region = "eu-central-1" };
            await Service.Client.UpdateSessionAsync(session.SessionId, filled);
            Session updated = await Service.Client.UpdateSessionAsync(
                session.SessionId, new SessionUpdate { Server = null, JoinInProgress = false, Region = null });
            Check.Equal("{\"region\":null,\"join_in_progress\":false,\"server\":null}", Service.Wire.SentBody);
            Check.True(updated.Server == null && updated.Region == null && !updated.JoinInProgress, "all are cleared");
        }

        public static async Task A_member_update_sends_only_what_is_set()
        {
            Session session = await CreateAsync(2);
            Player player = await PlayerTests.CreateAsync();
            await Service.Client.JoinSessionAsync(session.SessionId, player.PlayerId, new SessionJoin { Team = "red" });
            session = await Service.Client.UpdateMemberAsync(session.SessionId, player.PlayerId, new MemberUpdate { Ready = true });
            Check.Equal("{\"ready\":true}", Service.Wire.SentBody);
            Check.Equal("red", session.Members.Single().Team);
        }

        public static async Task A_session_goes_through_its_life()
        {
            Player host = await PlayerTests.CreateAsync();
            Player guest = await PlayerTests.CreateAsync();
            var create = new SessionCreate("Duel", "duel", 2) { HostPlayerId = host.PlayerId, MinPlayers = 2 };
            Session session = await Service.Client.CreateSessionAsync(create);
            Check.Equal(SessionStatus.Waiting, session.Status);
            await Service.Client.JoinSessionAsync(session.SessionId, guest.PlayerId);
            Check.Equal(session.SessionId, (await Service.Client.GetPlayerSessionAsync(guest.PlayerId)).SessionId);
            foreach (SessionStatus status in new[] { SessionStatus.Starting, SessionStatus.Active })
            {
                session = await Service.Client.UpdateSessionAsync(session.SessionId, new SessionUpdate { Status = status });
                Check.Equal(status, session.Status);
            }
            await Service.Client.LeaveSessionAsync(session.SessionId, host.PlayerId);
            session = await Service.Client.GetSessionAsync(session.SessionId);
            Check.Equal(guest.PlayerId, session.HostPlayerId);
            Check.Equal(null, await Service.Client.GetSessionAsync(session.SessionId, session.Version));
            await Check.Fails(ErrorCodes.NotInSession, () => Service.Client.GetPlayerSessionAsync(host.PlayerId));
        }

        public static async Task A_party_joins_as_a_whole()
        {
            Session session = await CreateAsync(3);
            string[] party = { (await PlayerTests.CreateAsync()).PlayerId, (await PlayerTests.CreateAsync()).PlayerId };
            session = await Service.Client.JoinSessionAsPartyAsync(session.SessionId, new PartyJoin(party));
            Check.Equal(2, session.PlayerCount);
            string[] second = { (await PlayerTests.CreateAsync()).PlayerId, (await PlayerTests.CreateAsync()).PlayerId };
            await Check.Fails(
                ErrorCodes.SessionFull,
                () => Service.Client.JoinSessionAsPartyAsync(session.SessionId, new PartyJoin(second)));
        }

        public static async Task A_stale_version_is_refused_by_every_change_of_a_session()
        {
            Session old = await CreateAsync(2);
            string playerId = (await PlayerTests.CreateAsync()).PlayerId;
            Session session = await Service.Client.JoinSessionAsync(old.SessionId, playerId, null, old.Version);
            GameApiClient client = Service.Client;
            foreach (System.Func<Task> change in new System.Func<Task>[]
            {
                () => client.UpdateSessionAsync(old.SessionId, new SessionUpdate { Name = "x" }, old.Version),
                () => client.UpdateMemberAsync(old.SessionId, playerId, new MemberUpdate { Ready = true }, old.Version),
                () => client.LeaveSessionAsync(old.SessionId, playerId, old.Version),
                () => client.JoinSessionAsync(old.SessionId, playerId, null, old.Version),
            })
            {
                GameApiException error = await Check.Fails(ErrorCodes.VersionMismatch, change);
                Check.Equal(session.Version, error.Problem.CurrentVersion);
            }
        }

        public static async Task Filters_find_the_right_sessions()
        {
            string mode = "m" + Service.Unique(string.Empty).Replace("-", string.Empty);
            Player host = await PlayerTests.CreateAsync();
            Session wanted = await Service.Client.CreateSessionAsync(new SessionCreate("Wanted", mode, 4)
            {
                Region = "eu-central-1",
                HostPlayerId = host.PlayerId,
                Attributes = new Attributes { ["level"] = 5, ["map"] = "de:dust & more", ["ranked"] = true, ["speed"] = 0.5 },
            });
            Session other = await Service.Client.CreateSessionAsync(
                new SessionCreate("Other", mode, 2) { Attributes = new Attributes { ["level"] = 6 } });
            await Service.Client.UpdateSessionAsync(other.SessionId, new SessionUpdate { Status = SessionStatus.Cancelled });

            await Service.Client.CreateSessionAsync(
                new SessionCreate("Full", mode, 1) { HostPlayerId = (await PlayerTests.CreateAsync()).PlayerId });

            var attributes = new SessionFilter { GameMode = mode };
            foreach (KeyValuePair<string, AttributeValue> attribute in wanted.Attributes)
            {
                attributes.Attributes.Add(attribute.Key, attribute.Value);
            }
            var both = new SessionFilter { GameMode = mode, Statuses = { SessionStatus.Waiting, SessionStatus.Cancelled } };
            var cancelled = new SessionFilter { GameMode = mode, Statuses = { SessionStatus.Cancelled } };
            Check.Equal("Wanted", await NamesAsync(attributes), "attributes");
            Check.Equal("Full,Other,Wanted", await NamesAsync(both), "two statuses");
            Check.Equal("Other", await NamesAsync(cancelled), "one status");
            Check.Equal("Full,Wanted", await NamesAsync(new SessionFilter { GameMode = mode }), "live without a status");
            Check.Equal("Wanted", await NamesAsync(new SessionFilter { GameMode = mode, Joinable = true }), "joinable");
            Check.Equal("Wanted", await NamesAsync(new SessionFilter { HostPlayerId = host.PlayerId }), "host");
            Check.Equal("Wanted", await NamesAsync(new SessionFilter { GameMode = mode, Region = "eu-central-1" }), "region");
            Check.Equal("", await NamesAsync(new SessionFilter { GameMode = mode, Region = "us-east-1" }), "other region");
            Check.Equal("Wanted", await NamesAsync(new SessionFilter { GameMode = mode, MinFreeSlots = 3 }), "free slots");
            Check.Equal("", await NamesAsync(new SessionFilter { GameMode = mode, MinFreeSlots = 4 }), "more free slots");
        }

        public static async Task The_walk_shows_every_session_once_newest_first()
        {
            string mode = "m" + Service.Unique(string.Empty).Replace("-", string.Empty);
            for (int number = 1; number <= 5; number++)
            {
                await Service.Client.CreateSessionAsync(new SessionCreate("s" + number, mode, 2));
            }
            var filter = new SessionFilter { GameMode = mode };
            Check.Equal("s5,s4,s3,s2,s1", await NamesAsync(filter, pageSize: 2));
            Check.Equal("s5,s4,s3,s2,s1", await NamesAsync(filter, pageSize: 5));
            Check.Equal("", await NamesAsync(new SessionFilter { GameMode = "nothing-here" }));
            SessionPage first = await Service.Client.ListSessionsAsync(filter, 3);
            SessionPage second = await Service.Client.ListSessionsAsync(filter, 3, first.NextCursor);
            Check.Equal("3 2", first.Items.Count + " " + second.Items.Count);
            Check.Equal(null, second.NextCursor);
        }

        internal static Task<Session> CreateAsync(int maxPlayers) =>
            Service.Client.CreateSessionAsync(new SessionCreate("Friday duel", "duel", maxPlayers));

        private static async Task<string> NamesAsync(SessionFilter filter, int pageSize = 100)
        {
            var names = new List<string>();
            IAsyncEnumerator<Session> walk = Service.Client.ListAllSessionsAsync(filter, pageSize).GetAsyncEnumerator();
            while (await walk.MoveNextAsync())
            {
                names.Add(walk.Current.Name);
            }
            return string.Join(",", names);
        }
    }
}
