using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    internal static class PlayerTests
    {
        public static async Task What_is_not_set_is_not_sent_and_stays()
        {
            Player player = await CreateAsync();
            Player updated = await Service.Client.UpdatePlayerAsync(player.PlayerId, new PlayerUpdate { DisplayName = "Countess" });
            Check.Equal("{\"display_name\":\"Countess\"}", Service.Wire.SentBody);
            Check.Equal("eu-central-1", updated.Region);
            Check.Equal(1500, updated.Rating);
            Check.Equal(player.Attributes["level"], updated.Attributes["level"]);
        }

        public static async Task Null_clears_the_region()
        {
            Player player = await CreateAsync();
            Player updated = await Service.Client.UpdatePlayerAsync(player.PlayerId, new PlayerUpdate { Region = null });
            Check.Equal("{\"region\":null}", Service.Wire.SentBody);
            Check.Equal(null, updated.Region);
            Check.Equal(player.Version + 1, updated.Version);
        }

        public static async Task A_default_that_is_set_is_sent()
        {
            Player player = await CreateAsync();
            Player updated = await Service.Client.UpdatePlayerAsync(
                player.PlayerId, new PlayerUpdate { Rating = 0, Attributes = new Attributes() });
            Check.Equal("{\"rating\":0,\"attributes\":{}}", Service.Wire.SentBody);
            Check.Equal("0 0", updated.Rating + " " + updated.Attributes.Count);
        }

        public static async Task A_stale_version_is_refused()
        {
            Player player = await CreateAsync();
            var update = new PlayerUpdate { Rating = 1 };
            Player updated = await Service.Client.UpdatePlayerAsync(player.PlayerId, update, ifMatch: player.Version);
            GameApiException error = await Check.Fails(
                ErrorCodes.VersionMismatch,
                () => Service.Client.UpdatePlayerAsync(player.PlayerId, new PlayerUpdate { Rating = 2 }, player.Version));
            Check.Equal(412, error.Status);
            Check.Equal(updated.Version, error.Problem.CurrentVersion);
            Check.Equal(false, error.OutcomeUnknown);
            await Check.Fails(
                ErrorCodes.VersionMismatch, () => Service.Client.DeletePlayerAsync(player.PlayerId, player.Version));
            await Service.Client.DeletePlayerAsync(player.PlayerId, updated.Version);
            await Check.Fails(ErrorCodes.PlayerNotFound, () => Service.Client.GetPlayerAsync(player.PlayerId));
        }

        public static async Task An_unchanged_player_is_null()
        {
            Player player = await CreateAsync();
            Check.Equal(null, await Service.Client.GetPlayerAsync(player.PlayerId, ifNoneMatch: player.Version));
            await Service.Client.UpdatePlayerAsync(player.PlayerId, new PlayerUpdate { Rating = 7 });
            Check.Equal(7, (await Service.Client.GetPlayerAsync(player.PlayerId, player.Version)).Rating);
        }

        public static async Task A_player_is_found_by_name()
        {
            Player player = await CreateAsync();
            PlayerPage page = await Service.Client.ListPlayersAsync(player.Username.ToUpperInvariant());
            Check.Equal(player.PlayerId, page.Items.Single().PlayerId);
            Check.Equal(0, (await Service.Client.ListPlayersAsync(Service.Unique("nobody"))).Items.Count);
        }

        public static async Task The_walk_shows_the_players_of_one_page_after_the_other()
        {
            for (int number = 0; number < 5; number++)
            {
                await CreateAsync();
            }
            PlayerPage first = await Service.Client.ListPlayersAsync(limit: 5);
            IAsyncEnumerator<Player> walk = Service.Client.ListAllPlayersAsync(pageSize: 2).GetAsyncEnumerator();
            foreach (Player player in first.Items)
            {
                Check.True(await walk.MoveNextAsync(), "there is another player");
                Check.Equal(player.PlayerId, walk.Current.PlayerId);
            }
        }

        public static async Task A_cancelled_walk_stops()
        {
            await CreateAsync();
            var source = new CancellationTokenSource();
            IAsyncEnumerator<Player> walk = Service.Client.ListAllPlayersAsync(1).GetAsyncEnumerator(source.Token);
            Check.True(await walk.MoveNextAsync(), "there is a first player");
            source.Cancel();
            await Check.Throws<System.OperationCanceledException>(async () =>
            {
                while (await walk.MoveNextAsync())
                {
                }
            });
        }

        public static async Task Ids_that_would_call_another_operation_are_refused()
        {
            foreach (string id in new[] { null, string.Empty, ".", ".." })
            {
                await Check.Throws<System.ArgumentException>(() => Service.Client.GetPlayerAsync(id));
                await Check.Throws<System.ArgumentException>(() => Service.Client.LeaveSessionAsync("x", id));
            }
            await Check.Fails(ErrorCodes.ValidationError, () => Service.Client.GetPlayerAsync("a b?c=ü"));
            Check.True(Service.Wire.Requests.Last().Url.EndsWith("/players/a%20b%3Fc%3D%C3%BC"), "the id is escaped");
        }

        internal static Task<Player> CreateAsync() =>
            Service.Client.CreatePlayerAsync(new PlayerCreate(Service.Unique("ada"))
            {
                Region = "eu-central-1",
                Rating = 1500,
                Attributes = new Attributes { ["level"] = 5 },
            });
    }
}
